//! Links by name, with figures such as one measures.
//!
//! Invariant: every preset passes its own check. They are starting points: any value can be changed beside the name.

use mesh_proto::port::net::LinkClass;
use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::loss::Loss;
use super::quality::LinkQuality;
use super::schedule::{Schedule, Window};

const KBIT: u64 = 125;
const MBIT: u64 = 125_000;
const KIB: u64 = 1024;
const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const MIN: u64 = 60 * S;
const HOUR: u64 = 60 * MIN;

/// A link by name. Latencies are one way, from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// A cable to a switch: 1 Gbit/s, 50–150 µs, nothing lost, 512 KiB of buffer; same segment.
    Lan,
    /// A home's wireless access point: 50 Mbit/s, log-normal around 2 ms (99 %: 8 ms), short fades of 100 ms with 5 %
    /// loss every 5 s; same segment.
    Wifi,
    /// One hop of a neighbourhood mesh on roofs: 15 Mbit/s, log-normal around 4 ms (99 %: 20 ms), fades of 150 ms with
    /// 10 % loss every 3 s, 1 ‰ otherwise; same segment, as its neighbours share a subnet.
    MeshRadio,
    /// A telephone line: 1 Mbit/s up (64 KiB of buffer: half a second), 16 Mbit/s down, 15 ± 2 ms, 0.1 ‰ lost.
    Dsl,
    /// A mobile telephone's network: 5 Mbit/s up, 20 Mbit/s down, log-normal around 35 ms (99 %: 110 ms), 0.5 ‰ lost;
    /// metered, 1 unit per MiB.
    Mobile,
    /// A geostationary satellite: 512 kbit/s up, 4 Mbit/s down, 270 ± 15 ms (light alone takes 239 ms), 1 ‰ lost;
    /// metered, 10 units per MiB.
    SatelliteGeo,
    /// A store-and-forward satellite in a low orbit: 256 kbit/s for 10 min in every 95 min, 5–15 ms, fades of 1 s with
    /// 30 % loss every 20 s.
    SatelliteLeoPass,
    /// LoRa as a modem: 2 kbit/s, 50–250 ms, 2 % lost, 2 KiB of buffer.
    #[serde(rename = "lora_2kbit")]
    Lora2kbit,
    /// A directed radio bridge of some kilometres: 20 Mbit/s, 2 ± 0.5 ms, and rain or wind: 2 s with 20 % loss every 10
    /// min.
    VillageBridge,
    /// A shared long-wave radio that a village has for four hours of each day, from hour 2 to hour 6 of the run: 24
    /// kbit/s, 30–60 ms, 1 % lost.
    NightlyRadio,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 10] = [
        Self::Lan,
        Self::Wifi,
        Self::MeshRadio,
        Self::Dsl,
        Self::Mobile,
        Self::SatelliteGeo,
        Self::SatelliteLeoPass,
        Self::Lora2kbit,
        Self::VillageBridge,
        Self::NightlyRadio,
    ];

    /// The direction away from its owner: up, where up and down differ.
    #[must_use]
    pub fn quality(self) -> LinkQuality {
        match self {
            Self::Lan => LinkQuality {
                buffer_bytes: 512 * KIB,
                class: LinkClass::SameSegment,
                ..LinkQuality::new(uniform(50 * US, 150 * US), 1000 * MBIT)
            },
            Self::Wifi => LinkQuality {
                loss: fades(5 * S, 100 * MS, 100, 50_000),
                buffer_bytes: 256 * KIB,
                class: LinkClass::SameSegment,
                ..LinkQuality::new(around(2 * MS, 0.6), 50 * MBIT)
            },
            Self::MeshRadio => LinkQuality {
                loss: fades(3 * S, 150 * MS, 1000, 100_000),
                buffer_bytes: 256 * KIB,
                class: LinkClass::SameSegment,
                ..LinkQuality::new(around(4 * MS, 0.7), 15 * MBIT)
            },
            Self::Dsl => LinkQuality {
                loss: Loss::Independent { ppm: 100 },
                buffer_bytes: 64 * KIB,
                ..LinkQuality::new(normal(15 * MS, 2 * MS, 10 * MS), MBIT)
            },
            Self::Mobile => LinkQuality {
                loss: Loss::Independent { ppm: 500 },
                buffer_bytes: 256 * KIB,
                ..metered(around(35 * MS, 0.5), 5 * MBIT, 1)
            },
            Self::SatelliteGeo => LinkQuality {
                loss: Loss::Independent { ppm: 1000 },
                buffer_bytes: 64 * KIB,
                ..metered(normal(270 * MS, 15 * MS, 245 * MS), 512 * KBIT, 10)
            },
            Self::SatelliteLeoPass => LinkQuality {
                loss: fades(20 * S, S, 1000, 300_000),
                schedule: Some(every(95 * MIN, 0, 10 * MIN)),
                ..LinkQuality::new(uniform(5 * MS, 15 * MS), 256 * KBIT)
            },
            Self::Lora2kbit => LinkQuality {
                loss: Loss::Independent { ppm: 20_000 },
                buffer_bytes: 2 * KIB,
                ..LinkQuality::new(uniform(50 * MS, 250 * MS), 2 * KBIT)
            },
            Self::VillageBridge => LinkQuality {
                loss: fades(10 * MIN, 2 * S, 0, 200_000),
                buffer_bytes: 256 * KIB,
                ..LinkQuality::new(normal(2 * MS, MS / 2, MS), 20 * MBIT)
            },
            Self::NightlyRadio => LinkQuality {
                loss: Loss::Independent { ppm: 10_000 },
                schedule: Some(every(24 * HOUR, 2 * HOUR, 6 * HOUR)),
                ..LinkQuality::new(uniform(30 * MS, 60 * MS), 24 * KBIT)
            },
        }
    }

    /// The other direction, where it differs.
    #[must_use]
    pub fn back(self) -> Option<LinkQuality> {
        let rate_bytes_per_s = match self {
            Self::Dsl => 16 * MBIT,
            Self::Mobile => 20 * MBIT,
            Self::SatelliteGeo => 4 * MBIT,
            _ => return None,
        };
        Some(LinkQuality { rate_bytes_per_s, buffer_bytes: 256 * KIB, ..self.quality() })
    }
}

fn uniform(min_ns: u64, max_ns: u64) -> Latency {
    Latency::Uniform { min_ns, max_ns }
}

fn normal(mean_ns: u64, deviation_ns: u64, min_ns: u64) -> Latency {
    Latency::Normal { mean_ns, deviation_ns, min_ns }
}

fn around(median_ns: u64, sigma: f64) -> Latency {
    Latency::LogNormal { median_ns, sigma }
}

fn fades(good_mean_ns: u64, bad_mean_ns: u64, good_loss_ppm: u32, bad_loss_ppm: u32) -> Loss {
    Loss::GilbertElliott { good_mean_ns, bad_mean_ns, good_loss_ppm, bad_loss_ppm }
}

fn every(period_ns: u64, from_ns: u64, until_ns: u64) -> Schedule {
    Schedule { period_ns, windows: vec![Window { from_ns, until_ns }] }
}

fn metered(latency: Latency, rate_bytes_per_s: u64, cost_per_mib: u32) -> LinkQuality {
    LinkQuality {
        cost_per_mib,
        is_metered: true,
        class: LinkClass::Metered,
        ..LinkQuality::new(latency, rate_bytes_per_s)
    }
}
