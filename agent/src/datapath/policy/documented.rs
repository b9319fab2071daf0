//! Which ports any rule is for.

use portreeve_common::{
    Direction, Service,
    class::{Class, Documented},
    service::Transport,
};

/// A bit for each port that has a class.
pub(super) fn documented(classes: &[u16]) -> Vec<u8> {
    const PORTS: usize = 65_536;
    let mut bits = vec![0; Documented::BYTES];
    for direction in Direction::ALL {
        for transport in [Transport::TCP, Transport::UDP] {
            let first = Service::port_slot(direction, transport, 0) as usize;
            let Documented { byte, bit: _ } = Documented::of(direction, transport, 0);
            let ports = classes.get(first..).unwrap_or_default();
            let ports = ports.get(..PORTS).unwrap_or(ports);
            // Eight ports a byte, the first in its lowest bit: looking each one up takes longer than all the rest of
            // a change of one rule.
            for (byte, eight) in bits.iter_mut().skip(byte as usize).zip(ports.chunks(8)) {
                *byte = eight
                    .iter()
                    .rev()
                    .fold(0, |byte, class| byte << 1 | u8::from(*class != Class::NONE.word()));
            }
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_port_with_a_class() {
        let mut classes = vec![0; Service::SLOTS as usize];
        let ports = [0, 1, 7, 8, 443, 65_534, 65_535];
        let services = Direction::ALL
            .into_iter()
            .flat_map(|direction| [Transport::TCP, Transport::UDP].map(|transport| (direction, transport)));
        for (number, (direction, transport)) in services.clone().enumerate() {
            for port in ports.into_iter().skip(number) {
                classes[Service::port_slot(direction, transport, port) as usize] = 0x8001;
            }
        }
        let bits = documented(&classes);
        assert_eq!(bits.len(), Documented::BYTES);
        for (number, (direction, transport)) in services.enumerate() {
            for port in 0..=u16::MAX {
                let Documented { byte, bit } = Documented::of(direction, transport, port);
                let ruled = ports.iter().skip(number).any(|it| *it == port);
                assert_eq!(bits[byte as usize] >> bit & 1 == 1, ruled, "{direction:?} {port}");
            }
        }
    }
}
