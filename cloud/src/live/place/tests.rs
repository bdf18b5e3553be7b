use std::sync::Arc;

use riverwatts_shared::time::SystemClock;
use riverwatts_shared::words::UserRole;
use serde_json::{Value, json};

use super::*;
use crate::db::Db;
use crate::db::migrate::migrate;
use crate::live::room::{FRAMES_MAX, Told};
use crate::presence::Presence;
use crate::readings::Readings;

/// What must come comes within this time.
const SOON: Duration = Duration::from_secs(10);
const T: UtcMs = UtcMs(1_795_508_130_000);

/// An admin in the fleet's room of a cloud without sites.
async fn admin() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(folder.path()).await.unwrap();
    migrate(&db).await.unwrap();
    let readings = Readings::open_sqlite(folder.path()).unwrap();
    let presence = Presence::open(&db, T).await.unwrap();
    let live = Live::new(db, readings, presence, Arc::new(SystemClock::default()));
    let visitor =
        Visitor { user_id: Uuid::from_u128(1), role: UserRole::Admin, session_id: Uuid::from_u128(2), expires_at: T };
    let place = live.enter(visitor, RoomId::Fleet).await.unwrap();
    (folder, place)
}

fn told(device: u128, number: i64) -> Told {
    Told {
        device_id: Uuid::from_u128(device),
        version: (T.plus_ms(number), 0),
        json: format!("[{device},{number}]").into(),
    }
}

async fn next(place: &mut Place) -> Event {
    tokio::time::timeout(SOON, place.next()).await.expect("nothing comes")
}

async fn frame(place: &mut Place) -> Value {
    match next(place).await {
        Event::Frame(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Event::Close(close) => panic!("{close:?}"),
    }
}

/// Lets the room tell readings 0 to `count` of three devices in turns, a frame each.
fn tell(room: &Arc<Room>, count: i64) {
    for number in 0..count {
        room.tell_readings([told(number as u128 % 3, number)].iter());
        // Whoever looks has to see what waits too, so it is told at once.
        room.changes(u64::MAX, &[]);
    }
}

#[tokio::test]
async fn a_reading_is_told_once_and_only_when_it_is_newer() {
    let (_folder, mut place) = admin().await;
    let room = Arc::clone(&place.room);
    assert_eq!(frame(&mut place).await["type"], "snapshot");
    for (number, readings) in [(5, true), (5, false), (4, false), (6, true)] {
        room.tell_readings([told(7, number)].iter());
        if readings {
            assert_eq!(frame(&mut place).await["data"], json!({"readings": [[7, number]]}));
        }
    }
    assert_eq!(place.seq, 2);
}

#[tokio::test]
async fn a_burst_passes_and_of_what_comes_faster_the_newest_is_told() {
    let (_folder, mut place) = admin().await;
    let room = Arc::clone(&place.room);
    frame(&mut place).await;
    for number in 0..200 {
        room.tell_readings([told(7, number)].iter());
    }
    let mut numbers = Vec::new();
    while numbers.last() != Some(&199) {
        numbers.push(frame(&mut place).await["data"]["readings"][0][1].as_i64().unwrap());
    }
    assert_eq!(numbers[..10], (0..10).collect::<Vec<i64>>());
    assert!(numbers.len() < 40, "{numbers:?}");
}

#[tokio::test]
async fn who_falls_behind_gets_the_newest_of_each_device_and_goes_on_from_there() {
    let (_folder, mut place) = admin().await;
    let room = Arc::clone(&place.room);
    frame(&mut place).await;
    let count = FRAMES_MAX as i64 + 2;
    tell(&room, count);
    let caught_up = frame(&mut place).await;
    let mut readings: Vec<(i64, i64)> = serde_json::from_value(caught_up["data"]["readings"].clone()).unwrap();
    readings.sort_unstable_by_key(|(_, number)| *number);
    assert_eq!(readings, [count - 3, count - 2, count - 1].map(|number| (number % 3, number)));
    assert_eq!(caught_up["seq"], count);
    room.tell_readings([told(7, 1)].iter());
    room.changes(u64::MAX, &[]);
    let next = frame(&mut place).await;
    assert_eq!((&next["seq"], &next["data"]), (&json!(count + 1), &json!({"readings": [[7, 1]]})));
    assert_eq!(place.behind_since, None);
}

#[tokio::test]
async fn who_is_behind_for_long_has_to_go() {
    let (_folder, mut place) = admin().await;
    let room = Arc::clone(&place.room);
    frame(&mut place).await;
    place.behind_since = Instant::now().checked_sub(BEHIND_MAX);
    tell(&room, FRAMES_MAX as i64 + 1);
    assert_eq!(next(&mut place).await, Event::Close(Close::TooSlow));
}

#[tokio::test]
async fn an_empty_room_is_closed_and_a_site_is_watched_from_the_first_to_the_last() {
    let (_folder, place) = admin().await;
    let rooms = &place.live.0.rooms;
    let (user_id, site_id) = (Uuid::from_u128(1), Uuid::from_u128(3));
    let seen = [Seen::Site(site_id), Seen::Device { id: Uuid::from_u128(4), site_id }];
    let entered: Vec<_> = seen.iter().map(|seen| rooms.enter(user_id, seen)).collect();
    assert_eq!(place.live.upload_every_s(site_id), Some(1));
    for (left, (seen, (room, _, frames))) in seen.iter().zip(entered).enumerate() {
        assert_eq!(rooms.of_site(site_id).devices.len(), 1);
        rooms.leave(user_id, seen, &room, frames);
        assert!(rooms.find(user_id, seen).is_none());
        assert_eq!(rooms.is_watched(site_id), left == 0);
    }
    let live = place.live.clone();
    assert!(live.0.rooms.is_any(), "the fleet");
    drop(place);
    assert!(!live.0.rooms.is_any());
}
