// uPlot is used by kit/plot.js alone, which gives it types of its own.
declare const uPlot: any;
export default uPlot;
