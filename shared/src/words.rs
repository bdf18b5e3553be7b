//! The closed sets of words that are visible from outside, each with its spelling and its
//! number on disk and on the wire. Numbers are append-only.

/// Declares an enum whose variants have one spelling (JSON, SQL, settings) and one stable number.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $number:literal $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant = $number),+ }

        impl $name {
            /// Every word, in order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The spelling.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The number on disk and on the wire.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The word with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(UnknownWord { word: text.to_owned(), known: &[$($word),+] }),
                }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": [$($word),+]})
            }
        }
    };
}

/// A word that is not in its set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown word `{word}`; one of: {}", known.join(", "))]
pub struct UnknownWord {
    word: String,
    known: &'static [&'static str],
}

words! {
    /// What kind of machine a device is; a meter is a sensor with `metadata.kind = "meter"`.
    DeviceType { Turbine = 0 "turbine", Sensor = 1 "sensor", Controller = 2 "controller", Battery = 3 "battery" }
}
words! {
    /// How urgent an alert is.
    Severity { Low = 0 "low", Medium = 1 "medium", High = 2 "high", Critical = 3 "critical" }
}
words! {
    /// How far one value may be trusted; worse words replace milder ones, never the other way.
    Quality {
        Ok = 0 "ok",
        /// The device said that it has no value.
        Sentinel = 1 "sentinel",
        /// Outside what is physically plausible.
        Range = 2 "range",
        /// Measured earlier than its predecessor.
        TimeOrder = 3 "time_order",
        /// Changed faster than it can.
        Rate = 4 "rate",
        /// Has not moved although it must.
        Stuck = 5 "stuck",
        /// Contradicts other values.
        CrossCheck = 6 "cross_check",
        /// Dated without a trusted clock.
        ClockUntrusted = 7 "clock_untrusted",
        /// Dated afterwards, when the clock was trusted.
        Redated = 8 "redated",
        /// Computed, not measured.
        Estimated = 9 "estimated",
        /// An aggregate that stands for readings given up for space.
        Thinned = 10 "thinned",
    }
}

impl Quality {
    /// Whether a value of this quality is left out of roll-ups (and so of energy and bills).
    pub const fn kept_out_of_rollups(self) -> bool {
        matches!(
            self,
            Quality::Sentinel
                | Quality::Range
                | Quality::TimeOrder
                | Quality::Rate
                | Quality::Stuck
                | Quality::CrossCheck
        )
    }
}

words! {
    /// Why readings of a span will never come.
    GapReason {
        StoreFullThinned = 0 "store_full_thinned",
        StoreFullDropped = 1 "store_full_dropped",
        StoreDamaged = 2 "store_damaged",
        UncleanStop = 3 "unclean_stop",
        DiskError = 4 "disk_error",
        Clock = 5 "clock",
        DeadLetterDiscarded = 6 "dead_letter_discarded",
        DeviceSilent = 7 "device_silent",
    }
}
words! {
    /// Width of a roll-up's window; a day is a calendar day in the site's zone.
    Resolution { Minute = 0 "1m", Quarter = 1 "15m", Hour = 2 "1h", Day = 3 "1d" }
}
words! {
    /// Why the cloud refused one item of a batch.
    RejectCode {
        Conflict = 0 "conflict",
        Invalid = 1 "invalid",
        OutOfRange = 2 "out_of_range",
        UnknownDevice = 3 "unknown_device",
        QuarantinedTime = 4 "quarantined_time",
        BeyondRetention = 5 "beyond_retention",
    }
}
words! {
    /// What a machine does or why it does not, after the categories of IEC 61400-26-1.
    OperatingState {
        FullPerformance = 0 "full_performance",
        PartialPerformance = 1 "partial_performance",
        TechnicalStandby = 2 "technical_standby",
        OutOfEnvironmental = 3 "out_of_environmental_specification",
        RequestedShutdown = 4 "requested_shutdown",
        OutOfElectrical = 5 "out_of_electrical_specification",
        ScheduledMaintenance = 6 "scheduled_maintenance",
        PlannedCorrectiveAction = 7 "planned_corrective_action",
        ForcedOutage = 8 "forced_outage",
        Suspended = 9 "suspended",
        ForceMajeure = 10 "force_majeure",
        InformationUnavailable = 11 "information_unavailable",
    }
}
words! {
    /// What a signed-in person may do.
    UserRole { Admin = 0 "admin", Customer = 1 "customer", Technician = 2 "technician", Viewer = 3 "viewer" }
}
words! {
    /// State of a site.
    SiteStatus { Active = 0 "active", Maintenance = 1 "maintenance", Offline = 2 "offline", Decommissioned = 3 "decommissioned" }
}
words! {
    /// State of a device.
    DeviceStatus { Active = 0 "active", Maintenance = 1 "maintenance", Offline = 2 "offline", Error = 3 "error", Warning = 4 "warning" }
}
words! {
    /// Whether a gateway is heard.
    GatewayLink { Never = 0 "never", Lost = 1 "lost", Connected = 2 "connected" }
}
words! {
    /// Whether any gateway of a site is heard; `none` when it has none.
    SiteLink { None = 0 "none", Never = 1 "never", Lost = 2 "lost", Connected = 3 "connected" }
}
words! {
    /// Work that the cloud does by itself, or because an admin wants it.
    JobKind {
        /// Takes away what ended long ago.
        Housekeeping = 0 "housekeeping",
        /// Computes the roll-ups of a span of a device again.
        RollupRepair = 1 "rollup_repair",
    }
}
words! {
    /// How far a job is; a dead one does not run again by itself.
    JobState { Waiting = 0 "waiting", Running = 1 "running", Done = 2 "done", Dead = 3 "dead" }
}

impl From<GatewayLink> for SiteLink {
    fn from(link: GatewayLink) -> Self {
        match link {
            GatewayLink::Never => SiteLink::Never,
            GatewayLink::Lost => SiteLink::Lost,
            GatewayLink::Connected => SiteLink::Connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_lead_back_to_the_same_variant() {
        for &quality in Quality::ALL {
            assert_eq!(Quality::from_number(quality.number()), Some(quality));
            assert_eq!(quality.word().parse(), Ok(quality));
            assert_eq!(serde_json::to_string(&quality).ok(), Some(format!("\"{quality}\"")));
        }
        assert_eq!(Quality::from_number(11), None);
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "captain".parse::<UserRole>().unwrap_err();
        assert_eq!(error.to_string(), "unknown word `captain`; one of: admin, customer, technician, viewer");
    }
}
