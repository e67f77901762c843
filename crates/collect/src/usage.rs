//! What one container used at one moment, whatever the source: plain optional numbers.
//!
//! Field names are column names of the tables `container`, `container_network` and
//! `container_blkio`; units are the stored ones. Holds NULL: what the source did not say is `None`.

use plimsoll_model::BatchBuilder;
use plimsoll_model::batch::RowError;

macro_rules! numbers {
    ($(#[$meta:meta])* $name:ident { $($field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub(crate) struct $name { $(pub(crate) $field: Option<u64>,)* }

        impl $name {
            /// Sets the columns of the current row; what is absent stays null.
            pub(crate) fn write(&self, row: &mut BatchBuilder) -> Result<(), RowError> {
                $(if self.$field.is_some() { row.unsigned(stringify!($field), self.$field)?; })*
                Ok(())
            }
        }
    };
}

numbers! {
    /// Columns of `container` that are read anew at each sample.
    ContainerUsage {
        cpu_usage_us,
        cpu_user_us,
        cpu_system_us,
        cpu_periods,
        cpu_throttled_periods,
        cpu_throttled_us,
        cpu_burst_periods,
        cpu_burst_us,
        cpu_pressure_some_us,
        cpu_pressure_full_us,
        memory_pressure_some_us,
        memory_pressure_full_us,
        io_pressure_some_us,
        io_pressure_full_us,
        cpu_limit_nano,
        cpu_quota_us,
        cpu_period_us,
        cpu_shares,
        memory_usage_bytes,
        memory_working_set_bytes,
        memory_rss_bytes,
        memory_cache_bytes,
        memory_mapped_file_bytes,
        memory_shmem_bytes,
        memory_swap_bytes,
        memory_kernel_bytes,
        memory_slab_reclaimable_bytes,
        memory_peak_bytes,
        memory_active_file_bytes,
        memory_inactive_file_bytes,
        memory_active_anon_bytes,
        memory_inactive_anon_bytes,
        memory_dirty_bytes,
        memory_writeback_bytes,
        memory_limit_bytes,
        memory_reservation_bytes,
        memory_swap_limit_bytes,
        memory_pgfault,
        memory_pgmajfault,
        memory_failcnt,
        oom_kills,
        memory_events_high,
        memory_events_max,
        memory_pgscan,
        memory_pgsteal,
        memory_refault_file,
        memory_refault_anon,
        pids,
        pids_limit,
        processes,
    }
}

numbers! {
    /// Columns of `container_network`.
    NetworkUsage {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    }
}

numbers! {
    /// Columns of `container_blkio`.
    BlkioUsage {
        read_bytes,
        read_ops,
        write_bytes,
        write_ops,
        discard_bytes,
        discard_ops,
        read_time_us,
        read_wait_us,
        reads_merged,
        write_time_us,
        write_wait_us,
        writes_merged,
        io_queued,
        io_time_us,
        sectors,
    }
}

impl ContainerUsage {
    /// The working set as `docker stats` computes it: usage less inactive file pages, where
    /// those are fewer than the usage. Unknown while either is unknown.
    pub(crate) fn set_working_set(&mut self) {
        self.memory_working_set_bytes =
            match (self.memory_usage_bytes, self.memory_inactive_file_bytes) {
                (Some(usage), Some(inactive)) if inactive < usage => Some(usage - inactive),
                (Some(usage), Some(_)) => Some(usage),
                _ => None,
            };
    }

    /// The cores a quota allows, in billionths.
    pub(crate) fn set_cpu_limit(&mut self) {
        self.cpu_limit_nano = match (self.cpu_quota_us, self.cpu_period_us) {
            (Some(quota), Some(period)) if period > 0 => {
                u64::try_from(u128::from(quota) * 1_000_000_000 / u128::from(period)).ok()
            }
            _ => None,
        };
    }
}

/// A block device by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) major: u64,
    pub(crate) minor: u64,
}

/// Everything read of one container at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it was read, Unix milliseconds.
    pub(crate) time_ms: i64,
    pub(crate) usage: ContainerUsage,
    /// By interface.
    pub(crate) networks: Vec<(String, NetworkUsage)>,
    /// By device.
    pub(crate) blkio: Vec<(Device, BlkioUsage)>,
}

impl Sample {
    /// The numbers of one device, made if not there yet.
    pub(crate) fn device(&mut self, device: Device) -> &mut BlkioUsage {
        let known = self.blkio.iter().position(|(known, _)| *known == device);
        let at = known.unwrap_or_else(|| {
            self.blkio.push((device, BlkioUsage::default()));
            self.blkio.len() - 1
        });
        let (_, usage) = &mut self.blkio[at];
        usage
    }
}
