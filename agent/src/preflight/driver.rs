//! Drivers that are known to have native XDP, each with its first kernel: for kernels that can't tell (before 6.3).

/// As `/sys/class/net/*/device/driver` names them. The page `docs/preflight.md` has the same table.
pub const DRIVERS: [(&str, (u32, u32)); 29] = [
    ("atlantic", (5, 19)),
    ("bnxt_en", (4, 11)),
    ("cpsw", (5, 3)),
    ("ena", (5, 6)),
    ("fec", (6, 2)),
    ("fsl_dpa", (5, 11)),
    ("fsl_dpaa2_eth", (5, 0)),
    ("fsl_enetc", (5, 13)),
    ("gve", (6, 4)),
    ("hv_netvsc", (5, 6)),
    ("i40e", (4, 13)),
    ("ice", (5, 5)),
    ("igb", (5, 10)),
    ("igc", (5, 13)),
    ("intel-eth-pci", (5, 13)),
    ("ixgbe", (4, 12)),
    ("ixgbevf", (4, 17)),
    ("mana", (5, 17)),
    ("mlx4_core", (4, 8)),
    ("mlx5_core", (4, 9)),
    ("mvneta", (5, 5)),
    ("mvpp2", (5, 9)),
    ("netsec", (5, 3)),
    ("nfp", (4, 10)),
    ("qede", (4, 10)),
    ("sfc", (5, 5)),
    ("thunder-nicvf", (4, 12)),
    ("virtio_net", (4, 10)),
    ("vmxnet3", (6, 6)),
];

/// The first kernel in which a driver has native XDP; `None` if none is known.
#[must_use]
pub fn since(driver: &str) -> Option<(u32, u32)> {
    DRIVERS.iter().find(|(name, _)| *name == driver).map(|(_, since)| *since)
}

#[cfg(test)]
mod tests {
    use super::{DRIVERS, since};

    #[test]
    fn drivers_are_sorted_and_documented() {
        assert!(DRIVERS.is_sorted());
        let page = include_str!("../../../docs/preflight.md");
        for (name, (major, minor)) in DRIVERS {
            assert!(page.contains(&format!("| `{name}` | {major}.{minor} |")), "{name}");
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), DRIVERS.len());
        assert_eq!((since("igb"), since("e1000e")), (Some((5, 10)), None));
    }
}
