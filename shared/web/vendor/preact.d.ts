// The types of what ../vendor/preact.js exports, as far as the pages use them.

export interface VNode { type: unknown; props: Record<string, any>; key: unknown; }
export type Child = VNode | ReadonlySignal<any> | string | number | bigint | boolean | null | undefined;
export type Children = Child | Children[];
export type Component<P = any> = (props: P) => Children;

export function h(type: string | Component, props: Record<string, any> | null, ...children: Children[]): VNode;
/** Tagged template for elements; a template with several roots gives an array, typed as one node all the same. */
export function html(strings: TemplateStringsArray, ...values: any[]): VNode;
export function render(node: Children, parent: Element): void;

export interface Context<T> { Provider: Component<{ value: T; children?: Children }>; }
export function createContext<T>(value: T): Context<T>;
export function useContext<T>(context: Context<T>): T;

export interface Ref<T> { current: T; }
export function useState<T>(initial: T | (() => T)): [T, (value: T | ((before: T) => T)) => void];
export function useEffect(run: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useLayoutEffect(run: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useRef<T>(initial: T): Ref<T>;
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T;
export function useCallback<T extends (...args: any[]) => any>(call: T, inputs: readonly unknown[]): T;
export function useId(): string;

export interface ReadonlySignal<T> { readonly value: T; peek(): T; subscribe(run: (value: T) => void): () => void; }
export interface Signal<T> extends ReadonlySignal<T> { value: T; }
export function signal<T>(initial: T): Signal<T>;
export function computed<T>(compute: () => T): ReadonlySignal<T>;
export function effect(run: () => void | (() => void)): () => void;
export function batch<T>(run: () => T): T;
export function untracked<T>(run: () => T): T;
