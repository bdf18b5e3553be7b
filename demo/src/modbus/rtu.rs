//! A small Modbus RTU server on any byte stream (MODBUS over Serial Line V1.02, section 2.5.1).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::modbus::station::Station;

/// Longest frame: unit, 253 bytes, checksum.
const FRAME_MAX: usize = 256;
/// A frame that stops for this long is given up. Generous: a pseudo-terminal has no baud rate.
const FRAME_TIMEOUT: Duration = Duration::from_millis(50);

/// Answers for `station` until the line ends.
pub async fn serve(mut line: impl AsyncRead + AsyncWrite + Unpin, station: &Station) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(FRAME_MAX);
    loop {
        if read_more(&mut line, &mut buffer).await? == 0 {
            return Ok(());
        }
        let Some(length) = request_length(&buffer) else { continue };
        let frame: Vec<u8> = buffer.drain(..length).collect();
        let (body, checksum) = frame.split_at(length - 2);
        if checksum != crc16(body).to_le_bytes() {
            buffer.clear(); // where the next frame begins is unknown until the line is quiet
            continue;
        }
        if let Some(answer) = station.answer(body[0], &body[1..]) {
            let mut frame = vec![body[0]];
            frame.extend(answer);
            frame.extend(crc16(&frame).to_le_bytes());
            line.write_all(&frame).await?;
        }
    }
}

/// Reads what is there; a quiet line or a full buffer ends a frame that never became whole.
async fn read_more(line: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.len() >= FRAME_MAX {
        buffer.clear();
    }
    let mut bytes = [0; FRAME_MAX];
    let room = FRAME_MAX - buffer.len();
    let read = if buffer.is_empty() {
        line.read(&mut bytes[..room]).await?
    } else {
        match timeout(FRAME_TIMEOUT, line.read(&mut bytes[..room])).await {
            Ok(read) => read?,
            Err(_) => {
                buffer.clear();
                line.read(&mut bytes).await?
            }
        }
    };
    buffer.extend_from_slice(&bytes[..read]);
    Ok(read)
}

/// Bytes of the request that begins the buffer, once they are all there. Requests have a fixed
/// length, except the writes of several registers, which say theirs; other functions are taken
/// for a fixed one and fail the checksum.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let length = match *buffer {
        [_, 15 | 16, _, _, _, _, bytes, ..] => 9 + usize::from(bytes),
        [_, 15 | 16, ..] => return None,
        _ => 8,
    };
    (buffer.len() >= length).then_some(length)
}

/// CRC-16/MODBUS: reflected polynomial 0xA001, starting with 0xFFFF; sent low byte first.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use riverwatts_shared::time::{ManualClock, UtcMs};
    use tokio::io::duplex;

    use super::*;
    use crate::devices::{Device, Kind};
    use crate::site::{Laws, Site};

    /// Lets the server read all that was written.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_spoilt_or_broken_off_frame_does_not_spoil_the_next() {
        let site = Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO);
        let station = Station::of(Device::new(Kind::Radar, Arc::new(site)));
        let (mut master, line) = duplex(FRAME_MAX);
        tokio::spawn(async move { serve(line, &station).await });
        let mut request = vec![1, 3, 0, 0, 0, 1];
        request.extend(crc16(&request).to_le_bytes());
        for (spoilt, quiet) in [
            (&[1, 3, 0, 0, 0, 1, 0, 0, 9, 9, 9][..], Duration::ZERO),
            (&[1, 3, 0], 2 * FRAME_TIMEOUT),
            (&[1, 16, 0, 0, 0, 1, 200, 0, 0], 2 * FRAME_TIMEOUT),
        ] {
            master.write_all(spoilt).await.unwrap();
            settle().await;
            tokio::time::sleep(quiet).await;
            master.write_all(&request).await.unwrap();
            let mut answer = [0; 7];
            let answered = timeout(Duration::from_secs(60), master.read_exact(&mut answer)).await;
            assert!(answered.is_ok(), "no answer after {spoilt:?}");
            assert_eq!(answer[..5], [1, 3, 2, 0, 1]);
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // Catalogue of parametrised CRC algorithms, CRC-16/MODBUS: check value.
        assert_eq!(crc16(b"123456789"), 0x4B37);
        assert_eq!(crc16(&[1, 3, 0, 0, 0, 10]).to_le_bytes(), [0xC5, 0xCD]);
    }

    #[test]
    fn requests_are_as_long_as_their_function_says() {
        for (bytes, expected) in [
            (&[1, 3, 0, 0, 0, 10, 0xC5][..], None),
            (&[1, 3, 0, 0, 0, 10, 0xC5, 0xCD, 1], Some(8)),
            (&[1, 16, 0, 0, 0, 1], None),
            (&[1, 16, 0, 0, 0, 1, 2, 0, 5, 0], None),
            (&[1, 16, 0, 0, 0, 1, 2, 0, 5, 0, 0], Some(11)),
        ] {
            assert_eq!(request_length(bytes), expected, "{bytes:?}");
        }
    }
}
