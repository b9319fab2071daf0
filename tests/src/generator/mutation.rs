//! What goes wrong with a valid frame: lies in its fields, too many headers, bytes that are flipped, cut or moved.

use super::Choices;
use crate::frame::{Extension, Flaws, Frame};

/// The bytes of `frame` after one to three mutations.
#[must_use]
pub fn mutate(mut frame: Frame, choices: &mut Choices<'_>) -> Vec<u8> {
    for _ in 0..choices.below(3) {
        frame = distorted(frame, choices);
    }
    let mut bytes = frame.bytes();
    for _ in 0..=choices.below(2) {
        spoil(&mut bytes, choices);
    }
    bytes
}

/// Mutations that know what the fields mean.
fn distorted(mut frame: Frame, choices: &mut Choices<'_>) -> Frame {
    let mut flaws = frame.flaws;
    match choices.byte() % 10 {
        0 => flaws.ihl = Some(choices.byte() & 0xf),
        1 => flaws.version = Some(choices.byte() & 0xf),
        2 => flaws.length = Some(choices.pick(&[0, 1, 7, 8, 19, 20, 21, 27, 28, 39, 40, 1500, 0xffff])),
        3 => flaws.data_offset = Some(choices.byte() & 0xf),
        4 => flaws.udp_length = Some(choices.pick(&[0, 1, 7, 9, 0xffff])),
        5 => flaws.transport_bytes = Some(choices.below(20)),
        6 => {
            frame = (0..choices.below(5)).fold(frame, |frame, id| frame.vlan(u16::try_from(id).unwrap_or(0)));
        }
        7 => {
            frame =
                (0..choices.below(9)).fold(frame, |frame, _| frame.extension(choices.pick(&Extension::ALL)));
        }
        8 => frame.options = (0..choices.below(41)).map(|_| choices.byte()).collect(),
        _ => {
            frame =
                frame.fragment(choices.word() & 0x1fff, choices.once_in(2), u32::from(choices.byte() % 4));
        }
    }
    frame.flaws(Flaws { padding: frame_padding(choices, flaws), ..flaws })
}

fn frame_padding(choices: &mut Choices<'_>, flaws: Flaws) -> usize {
    if choices.once_in(4) { choices.below(40) } else { flaws.padding }
}

/// Mutations that know nothing.
fn spoil(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let at = choices.below(bytes.len());
    match choices.byte() % 7 {
        // Headers are where it hurts.
        0..=2 => flip(bytes, at % HEADERS, choices),
        3 => flip(bytes, at, choices),
        4 => bytes.truncate(at),
        5 => drop(bytes.splice(at..at, [choices.byte(), choices.byte(), 0, choices.byte()])),
        _ => bytes.extend((0..choices.below(64)).map(|_| choices.byte())),
    }
}

fn flip(bytes: &mut [u8], at: usize, choices: &mut Choices<'_>) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (choices.byte() % 8);
    }
}

/// Bytes that Ethernet, a tag, IPv6 and TCP take.
const HEADERS: usize = 78;
