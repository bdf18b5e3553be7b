//! What the bytes of an answer are, on TCP and on RTU.

use proptest::prelude::*;
use riverwatts_shared::profile::Function;

use crate::bus::frame::*;

const READ: Request = Request { unit: 17, function: Function::Holding, start: 107, count: 3 };

/// The example of the standard, section 6.3: registers 108 to 110.
#[test]
fn requests_look_as_the_standard_has_them() {
    assert_eq!(READ.tcp_frame(0x0102), [1, 2, 0, 0, 0, 6, 0x11, 3, 0, 0x6B, 0, 3]);
    assert_eq!(READ.rtu_frame(), [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87]);
}

fn tcp(bytes: &[u8]) -> (Received, Vec<u16>) {
    let mut words = Vec::new();
    (READ.receive_tcp(7, bytes, &mut words), words)
}

#[test]
fn tcp_answers_are_told_apart() {
    for (bytes, expected) in [
        (&[][..], Received::Partial),
        (&[0, 7, 0, 0, 0], Received::Partial),
        (&[0, 7, 0, 0, 0, 9, 17, 3, 6, 0, 1, 0, 2, 0], Received::Partial),
        (&[0, 6, 0, 0, 0, 3, 17, 0x83, 2], Received::Stray(9, Stray::Late)),
        (&[0, 7, 0, 0, 0, 3, 17, 0x83, 2], Received::Exception(9, 2)),
        (&[0, 7, 0, 0, 0, 3, 17, 0x84, 2], Received::Bad("answer to another function")),
        (&[0, 7, 0, 0, 0, 3, 18, 0x83, 2], Received::Stray(9, Stray::Foreign)),
        (&[0, 7, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
        (&[0, 7, 0, 0, 0, 7, 17, 3, 6, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
        (b"HTTP/1.1 400", Received::Bad("answer that is not Modbus TCP")),
        (&[0, 7, 0, 0, 0xFF, 0xFF], Received::Bad("answer that is not Modbus TCP")),
    ] {
        assert_eq!(tcp(bytes), (expected, Vec::new()), "{bytes:?}");
    }
    let answer = tcp(&[0, 7, 0, 0, 0, 9, 17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
    assert_eq!(answer, (Received::Words(15), vec![0x022B, 0, 0x64]));
}

/// The example of the standard, section 6.1: coils 20 to 38.
#[test]
fn bits_become_words_of_nought_and_one() {
    let coils = Request { unit: 17, function: Function::Coil, start: 19, count: 19 };
    let mut words = Vec::new();
    let answer = [0, 7, 0, 0, 0, 6, 17, 1, 3, 0xCD, 0x6B, 0x05];
    assert_eq!(coils.receive_tcp(7, &answer, &mut words), Received::Words(12));
    assert_eq!(words, [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
    assert_eq!(coils.rtu_answer_bytes(), 8);
    let short = [0, 7, 0, 0, 0, 5, 17, 1, 2, 0xCD, 0x6B];
    assert_eq!(coils.receive_tcp(7, &short, &mut words), Received::Bad("answer of a wrong length"));
}

fn sealed(content: &[u8]) -> Vec<u8> {
    let mut frame = content.to_vec();
    frame.extend(crc(content).to_le_bytes());
    frame
}

fn rtu(bytes: &[u8]) -> (Received, Vec<u16>) {
    let mut words = Vec::new();
    (READ.receive_rtu(bytes, &mut words), words)
}

#[test]
fn rtu_answers_are_told_apart() {
    let good = sealed(&[17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
    assert_eq!(rtu(&good), (Received::Words(11), vec![0x022B, 0, 0x64]));
    for length in 0..good.len() {
        assert_eq!(rtu(&good[..length]).0, Received::Partial);
    }
    let torn = [&good[..9], &[0, 0]].concat();
    for (bytes, expected) in [
        (sealed(&[17, 0x83, 2]), Received::Exception(5, 2)),
        (torn, Received::Bad("answer with a wrong check sum")),
        (sealed(&[17, 3, 4, 0, 1, 0, 2]), Received::Stray(9, Stray::Late)),
        (sealed(&[17, 4, 2, 0, 1]), Received::Stray(7, Stray::Foreign)),
        (sealed(&[16, 3, 6, 0, 1, 0, 2, 0, 3]), Received::Stray(11, Stray::Foreign)),
        (sealed(&[16, 0x83, 2]), Received::Stray(5, Stray::Foreign)),
        (sealed(&[16, 6, 0, 1, 0, 2]), Received::Stray(8, Stray::Foreign)),
        (sealed(&[16, 3, 0, 0, 0, 2]), Received::Stray(8, Stray::Foreign)),
        (READ.rtu_frame().to_vec(), Received::Stray(8, Stray::Echo)),
        (vec![0], Received::Stray(1, Stray::Noise)),
        (vec![0xFF, 17, 3], Received::Stray(1, Stray::Noise)),
        (vec![16, 0x2B, 14, 1], Received::Stray(1, Stray::Noise)),
        (sealed(&[247, 3, 2, 0, 1]), Received::Stray(7, Stray::Foreign)),
    ] {
        assert_eq!(rtu(&bytes).0, expected, "{bytes:02X?}");
    }
}

#[test]
fn an_answer_is_found_behind_what_only_looks_like_a_frame() {
    let answer = sealed(&[17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
    for noise in [&[3, 3, 250][..], &[9], &[17], &[17, 3], &[17, 3, 9, 1, 2, 3], &[0xFF, 0, 17]] {
        let bytes = [noise, &answer].concat();
        let mut from = 0;
        let mut words = Vec::new();
        while let Received::Stray(length, Stray::Noise) = READ.receive_rtu(&bytes[from..], &mut words) {
            from += length;
        }
        assert_eq!((from, words), (noise.len(), vec![0x022B, 0, 0x64]), "behind {noise:02X?}");
    }
    // Another's whole frame is skipped whole, whatever its registers hold.
    let mut content = vec![16, 3, answer.len() as u8];
    content.extend(&answer);
    let foreign = sealed(&content);
    assert_eq!(rtu(&foreign).0, Received::Stray(foreign.len(), Stray::Foreign));
}

proptest! {
    #[test]
    fn no_bytes_make_a_panic_or_other_words_than_asked_for(bytes: Vec<u8>, transaction: u16) {
        let mut words = Vec::new();
        if let Received::Words(length) = READ.receive_tcp(transaction, &bytes, &mut words) {
            prop_assert_eq!((words.len(), length), (3, 15));
        }
        match READ.receive_rtu(&bytes, &mut words) {
            Received::Words(length) => prop_assert_eq!((words.len(), length), (3, 11)),
            Received::Stray(length, _) => prop_assert!((1..=bytes.len()).contains(&length)),
            _ => {}
        }
    }
}
