//! Any bytes as the answer to a read request, on TCP and on RTU: registers, an exception, something to be
//! skipped, or a doubt, never a panic and never more than was received. A right answer is always read.
#![no_main]

use riverwatts_shared::profile::Function;

#[allow(dead_code, reason = "the gateway's own file, of which the fuzzer needs a part")]
#[path = "../../edge/src/bus/frame.rs"]
mod frame;

use frame::{Exchange, Received, Request, Stray};

const FUNCTIONS: [Function; 4] = [Function::Holding, Function::Input, Function::Coil, Function::Discrete];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let &[function, unit, start_high, start_low, count, id_high, id_low, ref bytes @ ..] = data else { return };
    let request = Request {
        unit,
        function: FUNCTIONS[usize::from(function) % 4],
        start: u16::from_be_bytes([start_high, start_low]),
        count: u16::from(count % 125) + 1,
    };
    let transaction = u16::from_be_bytes([id_high, id_low]);
    let mut words = Vec::new();
    for on_tcp in [true, false] {
        let received = match on_tcp {
            true => request.receive_tcp(transaction, bytes, &mut words),
            false => request.receive_rtu(bytes, &mut words),
        };
        match received {
            Received::Words(length) => {
                assert_eq!(words.len(), usize::from(request.count));
                assert!(length <= bytes.len());
            }
            Received::Exception(length, _) | Received::Stray(length, _) => assert!((1..=bytes.len()).contains(&length)),
            Received::Partial => assert!(bytes.len() < frame::FRAME_MAX),
            Received::Bad(_) => {}
        }
    }
    let mut pdu = vec![request.function.code()];
    let length = request.rtu_answer_bytes() - 5;
    pdu.push(length as u8);
    pdu.extend(bytes.iter().copied().chain(std::iter::repeat(0)).take(length));
    let mut answer = vec![id_high, id_low, 0, 0, 0, pdu.len() as u8 + 1, unit];
    answer.extend(&pdu);
    assert_eq!(request.receive_tcp(transaction, &answer, &mut words), Received::Words(answer.len()));
    let late = request.receive_tcp(transaction.wrapping_add(1), &answer, &mut words);
    assert_eq!(late, Received::Stray(answer.len(), Stray::Late));
});
