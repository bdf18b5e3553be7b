//! The virtual devices as a master sees them: tokio-modbus over real sockets and a pseudo-terminal.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report; clippy.toml does not reach helpers")]

use std::sync::Arc;
use std::time::Duration;

use riverwatts_demo::devices::{Device, Kind};
use riverwatts_demo::modbus::line::Pace;
use riverwatts_demo::modbus::pty::SerialLine;
use riverwatts_demo::modbus::station::{Named, Station};
use riverwatts_demo::modbus::tcp::{self, Frames};
use riverwatts_demo::site::{Laws, Site};
use riverwatts_shared::profile::Parity;
use riverwatts_shared::time::SystemClock;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_modbus::prelude::*;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

fn site() -> Arc<Site> {
    Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(SystemClock::default()), Duration::ZERO))
}

fn named(kind: Kind, site: Arc<Site>) -> Named {
    (kind.id(), Device::new(kind, site))
}

async fn over_tcp(station: Station) -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(tcp::serve(listener, Frames::Tcp, Arc::new(station), stop.clone()));
    (address, stop)
}

fn f32_at(words: &[u16], index: usize) -> f32 {
    f32::from_bits(u32::from(words[index]) << 16 | u32::from(words[index + 1]))
}

#[tokio::test]
async fn a_master_reads_the_turbine_over_tcp() {
    let (address, _stop) = over_tcp(Station::of(named(Kind::Turbine, site()))).await;
    let mut master = client::tcp::connect_slave(address, Slave(1)).await.unwrap();
    let marker = master.read_holding_registers(40_000, 4).await.unwrap().unwrap();
    assert_eq!(marker, [0x5375, 0x6E53, 1, 66]);
    let model = master.read_holding_registers(40_070, 52).await.unwrap().unwrap();
    assert_eq!(model[..2], [103, 50]);
    assert!((3_000..25_001).contains(&model[14]), "{} W", model[14]);
    let missing = master.read_holding_registers(0, 2).await.unwrap();
    assert_eq!(missing, Err(ExceptionCode::IllegalDataAddress));
    let wrong_function = master.read_input_registers(40_000, 2).await.unwrap();
    assert_eq!(wrong_function, Err(ExceptionCode::IllegalFunction));
}

#[tokio::test]
async fn several_devices_share_an_address_by_unit() {
    let site = site();
    let devices: Vec<Named> = (1..=247).map(|number| named(Kind::Plain(number), site.clone())).collect();
    let (address, _stop) = over_tcp(Station::shared(&devices).unwrap().0).await;
    let mut master = client::tcp::connect(address).await.unwrap();
    for unit in [1, 100, 247] {
        master.set_slave(Slave(unit));
        assert_eq!(master.read_holding_registers(0, 10).await.unwrap().unwrap().len(), 10);
    }
    master.set_slave(Slave(248));
    let nobody = timeout(Duration::from_millis(100), master.read_holding_registers(0, 10)).await;
    assert!(nobody.is_err(), "an unknown unit is silent");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_stay() {
    let (address, _stop) = over_tcp(Station::of(named(Kind::Radar, site()))).await;
    let mut masters = Vec::new();
    for _ in 0..tcp::CONNECTIONS_MAX {
        let mut master = client::tcp::connect_slave(address, Slave(1)).await.unwrap();
        assert_eq!(master.read_holding_registers(0, 1).await.unwrap(), Ok(vec![1]));
        masters.push(master);
    }
    let refused = TcpStream::connect(address).await.unwrap();
    let closed = timeout(PATIENCE, async {
        refused.readable().await.unwrap();
        refused.try_read(&mut [0; 1])
    });
    assert!(matches!(closed.await.unwrap(), Ok(0) | Err(_)));
    assert_eq!(masters[0].read_holding_registers(0, 1).await.unwrap(), Ok(vec![1]));
}

#[tokio::test]
async fn stopping_ends_connections_and_frees_the_address() {
    let (address, stop) = over_tcp(Station::of(named(Kind::Radar, site()))).await;
    let mut master = client::tcp::connect_slave(address, Slave(1)).await.unwrap();
    assert_eq!(master.read_holding_registers(0, 1).await.unwrap(), Ok(vec![1]));
    stop.cancel();
    let after = timeout(PATIENCE, async { while master.read_holding_registers(0, 1).await.is_ok() {} });
    after.await.unwrap();
    TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_master_reads_the_meter_over_a_pseudo_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meter-1.tty");
    std::os::unix::fs::symlink("/nowhere", &path).unwrap(); // what an earlier run may have left
    let line = SerialLine::open(&path).unwrap();
    let stop = CancellationToken::new();
    let serving =
        tokio::spawn(line.serve(Arc::new(Station::of(named(Kind::Meter, site()))), Pace::default(), stop.clone()));

    // A master may come, go and come again.
    for _ in 0..2 {
        let port = tokio_serial::SerialStream::open(&tokio_serial::new(path.to_str().unwrap(), 9_600)).unwrap();
        let mut master = client::rtu::attach_slave(port, Slave(1));
        let voltages = timeout(PATIENCE, master.read_input_registers(0, 6)).await.unwrap().unwrap().unwrap();
        assert!((f32_at(&voltages, 0) - 277.0).abs() < 10.0, "{voltages:?}");
        let power = timeout(PATIENCE, master.read_input_registers(52, 2)).await.unwrap().unwrap().unwrap();
        assert!(f32_at(&power, 0) > 3_000.0, "{power:?}");
        let missing = timeout(PATIENCE, master.read_input_registers(1_000, 2)).await.unwrap().unwrap();
        assert_eq!(missing, Err(ExceptionCode::IllegalDataAddress));
    }

    stop.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(!path.is_symlink(), "the name goes with the line");
}

#[tokio::test]
async fn noise_on_the_line_does_not_stop_the_next_request() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meter-1.tty");
    let line = SerialLine::open(&path).unwrap();
    tokio::spawn(line.serve(
        Arc::new(Station::of(named(Kind::Meter, site()))),
        Pace::default(),
        CancellationToken::new(),
    ));
    let mut port = tokio_serial::SerialStream::open(&tokio_serial::new(path.to_str().unwrap(), 9_600)).unwrap();
    port.write_all(&[0xFF, 0x10, 0x03, 0x99, 0x04]).await.unwrap();
    let mut master = client::rtu::attach_slave(port, Slave(1));
    let answered = timeout(PATIENCE, async {
        loop {
            if let Ok(Ok(Ok(words))) = timeout(Duration::from_millis(200), master.read_input_registers(0, 2)).await {
                return words;
            }
            drop(master);
            let port = tokio_serial::SerialStream::open(&tokio_serial::new(path.to_str().unwrap(), 9_600)).unwrap();
            master = client::rtu::attach_slave(port, Slave(1));
        }
    });
    assert_eq!(answered.await.unwrap().len(), 2);
}

#[tokio::test]
async fn rtu_frames_go_through_a_socket() {
    use tokio::io::AsyncWriteExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let devices: Vec<Named> = (1..=2).map(|number| named(Kind::Plain(number), site())).collect();
    let station = Arc::new(Station::shared(&devices).unwrap().0);
    tokio::spawn(tcp::serve(listener, Frames::Rtu, station, CancellationToken::new()));
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A frame that never becomes whole is forgotten after a while.
    socket.write_all(&[1, 3, 0]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut master = client::rtu::attach(socket);
    for unit in [1, 2] {
        master.set_slave(Slave(unit));
        let words = timeout(PATIENCE, master.read_holding_registers(0, 10)).await.unwrap().unwrap().unwrap();
        assert_eq!(words.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_with_a_speed_takes_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.tty");
    let devices: Vec<Named> = (1..=2).map(|number| named(Kind::Plain(number), site())).collect();
    let line = SerialLine::open(&path).unwrap();
    let pace = Pace::timed(9_600, Parity::None, Duration::from_millis(20));
    tokio::spawn(line.serve(Arc::new(Station::shared(&devices).unwrap().0), pace, CancellationToken::new()));
    let port = tokio_serial::SerialStream::open(&tokio_serial::new(path.to_str().unwrap(), 9_600)).unwrap();
    let mut master = client::rtu::attach(port);
    // 8 and 25 bytes of 10 bits, and the time to think.
    let least = Duration::from_micros(33 * 10_000_000 / 9_600) + Duration::from_millis(20);
    for unit in [1, 2] {
        master.set_slave(Slave(unit));
        let begun = std::time::Instant::now();
        timeout(PATIENCE, master.read_holding_registers(0, 10)).await.unwrap().unwrap().unwrap();
        let took = begun.elapsed();
        assert!(took >= least, "{took:?} instead of {least:?}");
        tokio::time::sleep(Duration::from_millis(5)).await; // the silence that parts frames
    }
}
