//! The battery: takes or gives the difference between turbine and load, within its limits;
//! the village grid covers what is left.

/// Rated energy of the battery, Wh.
pub const CAPACITY_WH: f64 = 40_000.0;
/// Rated charge of the battery, Ah.
pub const CAPACITY_AH: f64 = CAPACITY_WH / NOMINAL_V;
/// Nominal voltage of sixteen LiFePO4 cells, V.
const NOMINAL_V: f64 = 51.2;
/// Most power either way, W.
const POWER_MAX_W: f64 = 10_000.0;
/// Internal and cable resistance, Ω.
const RESISTANCE_OHM: f64 = 0.005;
/// Share of the charging power that is stored.
const CHARGE_EFFICIENCY: f64 = 0.96;
/// Discharging ends and charging ends here, as shares of the capacity.
const EMPTY: f64 = 0.10;
const FULL: f64 = 0.98;

/// Who delivers what at one time, W; the three add up to the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// What the site consumes.
    pub load_w: f64,
    /// From the battery; negative while it charges.
    pub battery_w: f64,
    /// From the village grid; negative while it takes the surplus.
    pub grid_w: f64,
}

impl Balance {
    /// How a load is met by `turbine_w` and a battery that holds `stored_wh`.
    pub fn of(load_w: f64, turbine_w: f64, stored_wh: f64) -> Balance {
        let least_w = if stored_wh >= FULL * CAPACITY_WH { 0.0 } else { -POWER_MAX_W };
        let most_w = if stored_wh <= EMPTY * CAPACITY_WH { 0.0 } else { POWER_MAX_W };
        let battery_w = (load_w - turbine_w).clamp(least_w, most_w);
        Balance { load_w, battery_w, grid_w: load_w - turbine_w - battery_w }
    }

    /// What a battery of `stored_wh` holds after `seconds` of this balance, Wh.
    pub fn stored_after_wh(&self, stored_wh: f64, seconds: f64) -> f64 {
        let efficiency = if self.battery_w < 0.0 { CHARGE_EFFICIENCY } else { 1.0 };
        (stored_wh - self.battery_w * efficiency * seconds / 3600.0).clamp(0.0, CAPACITY_WH)
    }
}

/// What a battery monitor shows; positive current and power charge, as Victron counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    /// V at the terminals.
    pub voltage_v: f64,
    /// A, positive while charging.
    pub current_a: f64,
    /// W, positive while charging.
    pub power_w: f64,
    /// State of charge, %.
    pub level_percent: f64,
    /// Missing to a full battery, Ah.
    pub consumed_ah: f64,
    /// Until empty at this power, s; none while charging or idle.
    pub time_to_go_s: Option<f64>,
}

impl Battery {
    /// The monitor's view of a battery that holds `stored_wh` and delivers `delivered_w`.
    pub fn showing(stored_wh: f64, delivered_w: f64) -> Battery {
        let share = stored_wh / CAPACITY_WH;
        let open_v = NOMINAL_V + 2.0 * (share - 0.5);
        // V = open + I R and P = V I, solved for I.
        let power_w = -delivered_w;
        let current_a = ((open_v * open_v + 4.0 * RESISTANCE_OHM * power_w).sqrt() - open_v) / (2.0 * RESISTANCE_OHM);
        Battery {
            voltage_v: open_v + current_a * RESISTANCE_OHM,
            current_a,
            power_w,
            level_percent: 100.0 * share,
            consumed_ah: (CAPACITY_WH - stored_wh) / NOMINAL_V,
            time_to_go_s: (delivered_w > 0.0)
                .then(|| (stored_wh - EMPTY * CAPACITY_WH).max(0.0) / delivered_w * 3600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turbine_battery_and_grid_add_up_to_the_load() {
        let (half, full, empty) = (0.5 * CAPACITY_WH, CAPACITY_WH, 0.0);
        for (load_w, turbine_w, stored_wh, battery_w, grid_w) in [
            (6_000.0, 9_000.0, half, -3_000.0, 0.0),
            (6_000.0, 2_000.0, half, 4_000.0, 0.0),
            (6_000.0, 9_000.0, full, 0.0, -3_000.0),
            (6_000.0, 2_000.0, empty, 0.0, 4_000.0),
            (6_000.0, 25_000.0, half, -10_000.0, -9_000.0),
        ] {
            let balance = Balance::of(load_w, turbine_w, stored_wh);
            assert_eq!((balance.battery_w, balance.grid_w), (battery_w, grid_w), "{load_w} {turbine_w} {stored_wh}");
        }
    }

    #[test]
    fn charging_loses_a_little_and_discharging_nothing() {
        let after_an_hour = |turbine_w| Balance::of(6_000.0, turbine_w, 20_000.0).stored_after_wh(20_000.0, 3600.0);
        assert_eq!(after_an_hour(7_000.0), 20_960.0);
        assert_eq!(after_an_hour(5_000.0), 19_000.0);
    }

    #[test]
    fn the_monitor_shows_power_as_voltage_times_current() {
        for delivered_w in [-10_000.0, -1.0, 0.0, 4_000.0] {
            let battery = Battery::showing(24_000.0, delivered_w);
            assert!((battery.voltage_v * battery.current_a + delivered_w).abs() < 1e-6, "{battery:?}");
        }
        assert_eq!(Battery::showing(24_000.0, 4_000.0).time_to_go_s, Some(18_000.0));
        assert_eq!(Battery::showing(24_000.0, -4_000.0).time_to_go_s, None);
    }
}
