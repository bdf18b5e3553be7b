//! What the store promises, held to on SQLite and on PostgreSQL alike.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[macro_use]
#[path = "support/contracts.rs"]
mod contracts;
#[path = "support/postgres.rs"]
mod postgres;

use jiff::civil::date;
use riverwatts_cloud::db::column::{At, Object, Word};
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::db::page::Page;
use riverwatts_cloud::db::{Db, DbError, on, transact};
use riverwatts_cloud::presence::Presence;
use riverwatts_cloud::store::configurations;
use riverwatts_cloud::store::devices::{self, NewDevice, UpdateDevice};
use riverwatts_cloud::store::gaps::{self, NewGap};
use riverwatts_cloud::store::gateways::{self, Gateway, HOLDS_MS, Heard};
use riverwatts_cloud::store::idempotency::{self, Begun};
use riverwatts_cloud::store::sessions::{self, NewToken, REUSE_GRACE_MS, Refreshed};
use riverwatts_cloud::store::sites::{self, NewSite, Site, UpdateSite};
use riverwatts_cloud::store::subscriptions::{self, SubscriptionType};
use riverwatts_cloud::store::users::{self, NewUser, UpdateUser, User};
use riverwatts_cloud::store::{Sight, members, meta};
use riverwatts_shared::batch::Announcement;
use riverwatts_shared::configuration::version;
use riverwatts_shared::time::{ManualClock, UtcMs};
use riverwatts_shared::words::{DeviceType, GapReason, GatewayLink, SiteStatus, UserRole};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

contracts! {
    a_site_comes_back_as_it_was_stored_and_changed,
    pages_give_every_row_once_in_either_order,
    sight_is_all_for_admins_membership_for_staff_and_subscription_for_customers,
    a_taken_value_names_its_field,
    the_last_active_admin_stays_also_when_two_remove_each_other,
    two_tabs_refresh_together_and_a_thief_ends_the_session,
    a_session_is_found_by_what_would_be_traded_and_looking_changes_nothing,
    what_ends_access_ends_all_sessions,
    a_gateway_enrolls_once_and_rotates_until_first_use,
    whoever_enrolls_with_a_code_of_replacement_becomes_the_gateway,
    configurations_are_kept_by_version_up_to_a_bound,
    a_gateway_that_was_heard_is_known_after_a_restart,
    announcements_become_devices_once,
    a_key_of_another_active_gateway_waits_for_an_admin,
    device_numbers_are_never_given_twice,
    gaps_are_stored_once_and_listed_latest_first,
    concurrent_spending_never_goes_below_zero,
    an_idempotency_key_runs_one_request,
    migrating_again_changes_nothing,
}

const NOW: UtcMs = UtcMs(1_795_508_130_000);

fn page(limit: u32) -> Page {
    Page { after: None, descending: true, limit }
}

async fn user(db: &Db, email: &str, role: UserRole) -> User {
    let new = NewUser {
        email: email.to_owned(),
        password_hash: "$hash".to_owned(),
        first_name: "A".to_owned(),
        last_name: "B".to_owned(),
        role,
        is_active: true,
        email_verified: false,
        created_by: None,
        metadata: Object::default(),
    };
    users::create(db, &new, NOW).await.unwrap()
}

fn new_site(name: &str) -> NewSite {
    NewSite {
        name: name.to_owned(),
        region: "Alaska".to_owned(),
        river_name: "Tanana".to_owned(),
        latitude: 64.5649,
        longitude: -149.094,
        elevation: Some(110.0),
        water_depth: None,
        flow_rate: Some(0.1 + 0.2),
        capacity_kw: 25.0,
        installation_date: Some(Word(date(2026, 2, 28))),
        status: None,
        timezone: "America/Anchorage".to_owned(),
        currency: "USD".to_owned(),
        metadata: Object::default(),
    }
}

async fn site(db: &Db, name: &str) -> Site {
    sites::create(db, &new_site(name), NOW).await.unwrap()
}

async fn gateway(db: &Db, site_id: Uuid, name: &str) -> Gateway {
    gateways::create(db, site_id, name, &format!("code {name}"), NOW).await.unwrap();
    gateways::enroll(db, &format!("code {name}"), &format!("credential {name}"), NOW).await.unwrap().unwrap()
}

fn announcement(key: &str, serial: Option<&str>) -> Announcement {
    Announcement {
        key: key.to_owned(),
        profile: "ott-svr100".to_owned(),
        serial_number: serial.map(str::to_owned),
        ..Announcement::default()
    }
}

async fn a_site_comes_back_as_it_was_stored_and_changed(db: &Db) {
    let admin = Sight::of(user(db, "admin@x", UserRole::Admin).await.id);
    let stored = site(db, "One").await;
    assert_eq!(sites::find(db, admin, stored.id).await.unwrap().as_ref(), Some(&stored));

    let change = UpdateSite {
        name: Some("Two".to_owned()),
        elevation: Some(None),
        status: Some(SiteStatus::Maintenance),
        ..UpdateSite::default()
    };
    let changed = sites::update(db, stored.id, Some(stored.updated_at.0), &change, NOW).await.unwrap().unwrap();
    let expected = Site {
        name: "Two".to_owned(),
        elevation: None,
        status: Word(SiteStatus::Maintenance),
        updated_at: At(NOW.plus_ms(1)), // a version of its own, although no time passed
        ..stored.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(sites::find(db, admin, stored.id).await.unwrap(), Some(expected));

    let stale = sites::update(db, stored.id, Some(stored.updated_at.0), &change, NOW).await;
    assert!(matches!(stale, Err(DbError::Stale)), "{stale:?}");
    let stale = sites::delete(db, stored.id, Some(stored.updated_at.0)).await;
    assert!(matches!(stale, Err(DbError::Stale)), "{stale:?}");
    assert!(sites::delete(db, stored.id, None).await.unwrap());
    assert!(!sites::delete(db, stored.id, None).await.unwrap());
    assert_eq!(sites::update(db, stored.id, None, &change, NOW).await.unwrap(), None);
}

async fn pages_give_every_row_once_in_either_order(db: &Db) {
    let admin = Sight::of(user(db, "admin@x", UserRole::Admin).await.id);
    let mut made = Vec::new();
    for i in 0..7 {
        made.push(site(db, &format!("site {i}")).await.id);
    }
    for descending in [true, false] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let listed = sites::list(db, admin, &Page { after, descending, limit: 3 }).await.unwrap();
            assert!(listed.rows.len() <= 3);
            seen.extend(listed.rows.iter().map(|site| site.id));
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        if descending {
            seen.reverse();
        }
        assert_eq!(seen, made);
    }
    assert_eq!(sites::list(db, admin, &page(7)).await.unwrap().next, None);
}

async fn sight_is_all_for_admins_membership_for_staff_and_subscription_for_customers(db: &Db) {
    let (own, other) = (site(db, "own").await, site(db, "other").await);
    let mut people = Vec::new();
    for role in UserRole::ALL {
        let person = user(db, &format!("{role}@x"), *role).await;
        // Both links for everybody: only the one that counts for the role may give sight.
        members::add(db, own.id, person.id, NOW).await.unwrap();
        if *role == UserRole::Customer {
            members::add(db, other.id, person.id, NOW).await.unwrap();
        }
        let subscribed = if *role == UserRole::Customer { own.id } else { other.id };
        let start = Word(date(2026, 1, 1));
        subscriptions::create(db, person.id, subscribed, SubscriptionType::Basic, start, NOW).await.unwrap();
        people.push((*role, person));
    }
    for (role, person) in &people {
        let sight = Sight::of(person.id);
        let sees_other = *role == UserRole::Admin;
        assert!(sites::find(db, sight, own.id).await.unwrap().is_some(), "{role}");
        assert_eq!(sites::find(db, sight, other.id).await.unwrap().is_some(), sees_other, "{role}");
        let listed = sites::list(db, sight, &page(10)).await.unwrap();
        assert_eq!(listed.rows.len(), if sees_other { 2 } else { 1 }, "{role}");
    }
    let gateways_of = [gateway(db, own.id, "a").await, gateway(db, other.id, "b").await];
    for gateway in &gateways_of {
        devices::announce(db, gateway, &[announcement("radar-1", None)], NOW).await.unwrap();
    }
    for (role, person) in &people {
        let sight = Sight::of(person.id);
        let expected = if *role == UserRole::Admin { 2 } else { 1 };
        assert_eq!(devices::list(db, sight, None, &page(10)).await.unwrap().rows.len(), expected, "{role}");
        assert_eq!(devices::in_sight(db, sight, None).await.unwrap().len(), expected, "{role}");
        assert_eq!(gateways::list(db, sight, &page(10)).await.unwrap().rows.len(), expected, "{role}");
        let of_other = devices::in_sight(db, sight, Some(other.id)).await.unwrap();
        assert_eq!(of_other.len(), expected - 1, "{role}");
        let hidden = devices::of_site(db, other.id).await.unwrap()[0].id;
        assert_eq!(devices::find(db, sight, hidden).await.unwrap().is_some(), expected == 2, "{role}");
        assert_eq!(devices::find_named(db, sight, hidden).await.unwrap().is_some(), expected == 2, "{role}");
    }
    let viewer = people.iter().find(|(role, _)| *role == UserRole::Viewer).unwrap().1.id;
    let off = UpdateUser { is_active: Some(false), ..UpdateUser::default() };
    users::update(db, viewer, None, &off, NOW).await.unwrap();
    assert_eq!(sites::find(db, Sight::of(viewer), own.id).await.unwrap(), None);
    assert!(members::remove(db, own.id, viewer).await.unwrap());
    assert!(!members::remove(db, own.id, viewer).await.unwrap());
}

async fn a_taken_value_names_its_field(db: &Db) {
    let person = user(db, "a@x", UserRole::Viewer).await;
    let other = user(db, "b@x", UserRole::Viewer).await;
    let taken = UpdateUser { email: Some("a@x".to_owned()), ..UpdateUser::default() };
    check_taken(users::update(db, other.id, None, &taken, NOW).await, "email");
    let site = site(db, "One").await;
    members::add(db, site.id, person.id, NOW).await.unwrap();
    check_taken(members::add(db, site.id, person.id, NOW).await, "user_id");
    let start = Word(date(2026, 1, 1));
    subscriptions::create(db, person.id, site.id, SubscriptionType::Premium, start, NOW).await.unwrap();
    check_taken(subscriptions::create(db, person.id, site.id, SubscriptionType::Basic, start, NOW).await, "site_id");
    let first = new_device(site.id, Some("a"), "1");
    devices::create(db, &first, NOW).await.unwrap();
    check_taken(devices::create(db, &new_device(site.id, Some("b"), "1"), NOW).await, "serial_number");
    check_taken(devices::create(db, &new_device(site.id, Some("a"), "2"), NOW).await, "key");
    let nowhere = devices::create(db, &new_device(Uuid::nil(), None, "3"), NOW).await;
    assert!(matches!(nowhere, Err(DbError::MissingReference)), "{nowhere:?}");
}

fn check_taken<T: std::fmt::Debug>(result: Result<T, DbError>, expected: &str) {
    match result {
        Err(DbError::Taken { field }) => assert_eq!(field, expected),
        other => panic!("{expected}: {other:?}"),
    }
}

fn new_device(site_id: Uuid, key: Option<&str>, serial: &str) -> NewDevice {
    NewDevice {
        site_id,
        key: key.map(str::to_owned),
        device_name: "Turbine".to_owned(),
        device_type: DeviceType::Turbine,
        serial_number: serial.to_owned(),
        model: "T5".to_owned(),
        manufacturer: "River".to_owned(),
        capacity_kw: 5.0,
        installation_date: Word(date(2026, 1, 1)),
        last_maintenance: None,
        next_maintenance: None,
        status: None,
        firmware_version: None,
        hardware_version: None,
        metadata: Object::default(),
    }
}

async fn the_last_active_admin_stays_also_when_two_remove_each_other(db: &Db) {
    let a = user(db, "a@x", UserRole::Admin).await.id;
    for change in [
        UpdateUser { is_active: Some(false), ..UpdateUser::default() },
        UpdateUser { role: Some(UserRole::Viewer), ..UpdateUser::default() },
    ] {
        assert!(matches!(users::update(db, a, None, &change, NOW).await, Err(DbError::Refused(_))));
    }
    assert!(matches!(users::delete(db, a, None, NOW).await, Err(DbError::Refused(_))));
    let b = user(db, "b@x", UserRole::Admin).await.id;
    let (first, second) = tokio::join!(users::delete(db, a, None, NOW), users::delete(db, b, None, NOW));
    assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1, "{first:?} {second:?}");
}

fn token(hash: &str, expires_at: UtcMs) -> NewToken {
    NewToken { hash: hash.to_owned(), expires_at }
}

async fn two_tabs_refresh_together_and_a_thief_ends_the_session(db: &Db) {
    let person = user(db, "a@x", UserRole::Viewer).await;
    let end = NOW.plus_ms(1_000_000);
    let session = sessions::start(db, person.id, &token("t0", end), NOW).await.unwrap();
    let (t1, t2) = (token("t1", end), token("t2", end));
    let (one, two) = tokio::join!(sessions::refresh(db, "t0", &t1, NOW), sessions::refresh(db, "t0", &t2, NOW));
    for outcome in [one.unwrap(), two.unwrap()] {
        assert!(matches!(outcome, Refreshed::Renewed { session_id, .. } if session_id == session), "{outcome:?}");
    }
    // Both tabs go on with what they got.
    let later = NOW.plus_ms(500_000);
    for (old, new) in [("t1", "t3"), ("t2", "t4")] {
        let outcome = sessions::refresh(db, old, &token(new, end), later).await.unwrap();
        assert!(matches!(outcome, Refreshed::Renewed { .. }), "{outcome:?}");
    }
    // The last moment of the grace, and the first after it.
    let outcome = sessions::refresh(db, "t3", &token("t5", end), later).await.unwrap();
    assert!(matches!(outcome, Refreshed::Renewed { .. }), "{outcome:?}");
    let outcome = sessions::refresh(db, "t3", &token("t6", end), later.plus_ms(REUSE_GRACE_MS)).await.unwrap();
    assert!(matches!(outcome, Refreshed::Renewed { .. }), "{outcome:?}");
    let outcome = sessions::refresh(db, "t3", &token("t7", end), later.plus_ms(REUSE_GRACE_MS + 1)).await.unwrap();
    assert!(matches!(outcome, Refreshed::Reused { session_id } if session_id == session), "{outcome:?}");
    assert_eq!(sessions::revoked_since(db, later).await.unwrap(), [session]);
    // Nothing of the session is good any more.
    let outcome = sessions::refresh(db, "t4", &token("t8", end), later).await.unwrap();
    assert!(matches!(outcome, Refreshed::Refused), "{outcome:?}");
}

async fn a_session_is_found_by_what_would_be_traded_and_looking_changes_nothing(db: &Db) {
    user(db, "admin@x", UserRole::Admin).await;
    let person = user(db, "a@x", UserRole::Viewer).await;
    let end = NOW.plus_ms(1_000_000);
    let session = sessions::start(db, person.id, &token("t0", end), NOW).await.unwrap();
    let found = async |hash: &str, at: UtcMs| {
        let found = sessions::find(db, hash, at).await.unwrap();
        found.map(|(user, session_id)| (user.id, session_id))
    };
    for _ in 0..2 {
        assert_eq!(found("t0", NOW).await, Some((person.id, session)));
    }
    assert_eq!((found("t1", NOW).await, found("t0", end).await), (None, None));
    sessions::refresh(db, "t0", &token("t1", end), NOW).await.unwrap();
    assert_eq!(found("t1", NOW).await, Some((person.id, session)));
    assert_eq!(found("t0", NOW.plus_ms(REUSE_GRACE_MS)).await, Some((person.id, session)), "a second tab");
    assert_eq!(found("t0", NOW.plus_ms(REUSE_GRACE_MS + 1)).await, None);
    assert_eq!(found("t1", NOW.plus_ms(REUSE_GRACE_MS + 1)).await, Some((person.id, session)), "no theft");
    sessions::revoke(db, session, NOW).await.unwrap();
    assert_eq!(found("t1", NOW).await, None);
    sessions::start(db, person.id, &token("t2", end), NOW).await.unwrap();
    let off = UpdateUser { is_active: Some(false), ..UpdateUser::default() };
    users::update(db, person.id, None, &off, NOW).await.unwrap();
    assert_eq!(found("t2", NOW).await, None);
}

async fn what_ends_access_ends_all_sessions(db: &Db) {
    user(db, "admin@x", UserRole::Admin).await;
    let person = user(db, "a@x", UserRole::Viewer).await;
    let end = NOW.plus_ms(1_000);
    let changes = [
        UpdateUser { password_hash: Some("$new".to_owned()), ..UpdateUser::default() },
        UpdateUser { role: Some(UserRole::Technician), ..UpdateUser::default() },
        UpdateUser { is_active: Some(false), ..UpdateUser::default() },
    ];
    for (i, change) in changes.iter().enumerate() {
        let session = sessions::start(db, person.id, &token(&format!("t{i}"), end), NOW).await.unwrap();
        let names = UpdateUser { first_name: Some(format!("N{i}")), ..UpdateUser::default() };
        assert!(users::update(db, person.id, None, &names, NOW).await.unwrap().unwrap().ended.is_empty());
        assert_eq!(users::update(db, person.id, None, change, NOW).await.unwrap().unwrap().ended, [session]);
    }
    let (stored, hash) = users::find_for_sign_in(db, "a@x").await.unwrap().unwrap();
    assert_eq!((hash.as_str(), stored.first_name.as_str(), stored.last_login), ("$new", "N2", Some(At(NOW))));
    let on = UpdateUser { is_active: Some(true), ..UpdateUser::default() };
    users::update(db, person.id, None, &on, NOW).await.unwrap();
    let session = sessions::start(db, person.id, &token("last", end), NOW).await.unwrap();
    assert_eq!(users::delete(db, person.id, None, NOW).await.unwrap(), Some(vec![session]));
    // Other instances must still learn of it.
    assert!(sessions::revoked_since(db, NOW).await.unwrap().contains(&session));
    assert_eq!(users::delete(db, person.id, None, NOW).await.unwrap(), None);
}

async fn a_gateway_enrolls_once_and_rotates_until_first_use(db: &Db) {
    let site = site(db, "One").await;
    gateways::create(db, site.id, "late", "code late", NOW).await.unwrap();
    let late = NOW.plus_ms(HOLDS_MS);
    assert_eq!(gateways::enroll(db, "code late", "x", late).await.unwrap(), None);
    let gateway = gateway(db, site.id, "a").await;
    assert_eq!(gateways::enroll(db, "code a", "x", NOW).await.unwrap(), None);
    let known = async |hash: &str, at: UtcMs| gateways::authenticate(db, hash, at).await.unwrap().is_some();
    assert!(known("credential a", NOW).await);
    assert!(!known("credential b", NOW).await);

    gateways::rotate(db, gateway.id, "never used", NOW).await.unwrap().unwrap();
    gateways::rotate(db, gateway.id, "second", NOW).await.unwrap().unwrap();
    assert!(!known("never used", NOW).await);
    assert!(known("credential a", late.plus_ms(-1)).await);
    assert!(!known("credential a", late).await);
    assert!(known("second", NOW).await);
    assert!(!known("credential a", NOW).await, "the first use of the new one ends the old one");

    gateways::rotate(db, gateway.id, "third", NOW).await.unwrap().unwrap();
    assert!(known("second", NOW).await && known("third", NOW).await && !known("second", NOW).await);
    gateways::revoke(db, gateway.id, NOW).await.unwrap().unwrap();
    assert!(!known("third", NOW).await);
    assert_eq!(gateways::rotate(db, gateway.id, "fourth", NOW).await.unwrap(), None);
    assert_eq!(gateways::revoke(db, Uuid::nil(), NOW).await.unwrap(), None);
}

async fn whoever_enrolls_with_a_code_of_replacement_becomes_the_gateway(db: &Db) {
    let site = site(db, "One").await;
    let old = gateway(db, site.id, "a").await;
    let known = async |hash: &str| gateways::authenticate(db, hash, NOW).await.unwrap().map(|gateway| gateway.id);
    gateways::replace(db, old.id, "code 1", NOW).await.unwrap().unwrap();
    gateways::replace(db, old.id, "code 2", NOW).await.unwrap().unwrap();
    assert_eq!(gateways::enroll(db, "code 1", "x", NOW).await.unwrap(), None, "the newest code counts");
    let new = gateways::enroll(db, "code 2", "credential new", NOW).await.unwrap().unwrap();
    assert_eq!((new.id, new.site_id), (old.id, site.id));
    assert_eq!(known("credential a").await, Some(old.id), "until the new one is first used");
    assert_eq!(known("credential new").await, Some(old.id));
    assert_eq!(known("credential a").await, None);
    gateways::revoke(db, old.id, NOW).await.unwrap().unwrap();
    assert_eq!(gateways::replace(db, old.id, "code 3", NOW).await.unwrap(), None, "a revoked one stays so");
    assert_eq!(gateways::replace(db, Uuid::nil(), "code 4", NOW).await.unwrap(), None);
}

async fn configurations_are_kept_by_version_up_to_a_bound(db: &Db) {
    let site = site(db, "One").await;
    let (gateway, other) = (gateway(db, site.id, "a").await, gateway(db, site.id, "b").await);
    let text = |number: i64| format!("[site]\nkey = \"a\" # {number}\n");
    let keep = async |number: i64, at: i64| {
        configurations::keep(db, gateway.id, &text(number), NOW.plus_ms(at)).await.unwrap()
    };
    for number in 0..=configurations::VERSIONS_MAX {
        keep(number, number).await;
    }
    let list = configurations::list(db, gateway.id).await.unwrap();
    assert_eq!(list.len() as i64, configurations::VERSIONS_MAX);
    assert_eq!(configurations::find(db, gateway.id, version(&text(0))).await.unwrap(), None, "the oldest goes");
    // One that comes again is the newest.
    let again = keep(1, 1_000).await;
    let list = configurations::list(db, gateway.id).await.unwrap();
    assert_eq!((list.len() as i64, list[0].version), (configurations::VERSIONS_MAX, again));
    assert_eq!(configurations::find(db, gateway.id, again).await.unwrap().unwrap().text, text(1));
    assert_eq!(configurations::find(db, other.id, again).await.unwrap(), None, "each gateway has its own");
    let now = gateways::by_id(db, gateway.id).await.unwrap().unwrap();
    assert_eq!((now.config_version, now.updated_at), (Some(again), gateway.updated_at));
}

async fn a_gateway_that_was_heard_is_known_after_a_restart(db: &Db) {
    let site = site(db, "One").await;
    let (heard, silent) = (gateway(db, site.id, "heard").await, gateway(db, site.id, "silent").await);
    let boss = user(db, "boss@example.org", UserRole::Admin).await;
    let sight = Sight::of(boss.id);
    // At the end of a run everything is written down.
    let run = async |hears: bool, at: UtcMs| {
        let presence = Presence::open(db, at).await.unwrap();
        let clock = ManualClock::at(at);
        let stop = CancellationToken::new();
        let watch = presence.keep_watching(db, &clock, stop.clone());
        let work = async {
            if hears {
                presence.hear(&heard, at);
            }
            stop.cancel();
        };
        tokio::join!(work, watch);
    };
    let seen_at = async |at: UtcMs| -> Vec<(GatewayLink, Option<UtcMs>)> {
        let presence = Presence::open(db, at).await.unwrap();
        let gateways = gateways::active(db, sight).await.unwrap();
        gateways.iter().map(|gateway| presence.see(gateway)).map(|seen| (seen.link, seen.last_seen_at)).collect()
    };
    run(true, NOW).await;
    run(true, NOW.plus_ms(40_000)).await;
    let last = Some(NOW.plus_ms(40_000));
    let never = (GatewayLink::Never, None);
    assert_eq!(seen_at(NOW.plus_ms(600_000)).await, [(GatewayLink::Connected, last), never]);
    assert_eq!(seen_at(NOW.plus_ms(700_000)).await, [(GatewayLink::Lost, last), never]);
    let found = gateways::find(db, sight, heard.id).await.unwrap().unwrap();
    assert_eq!(found.updated_at, heard.updated_at, "being heard is no new version");

    // One that was lost stays lost.
    let lost = gateways::connected_since(db, NOW).await.unwrap();
    let lost: Vec<Heard> = lost.into_iter().map(|heard| Heard { is_connected: false, ..heard }).collect();
    gateways::note_heard(db, &lost).await.unwrap();
    run(false, NOW.plus_ms(50_000)).await;
    assert_eq!(seen_at(NOW.plus_ms(60_000)).await, [(GatewayLink::Lost, last), never]);
    run(true, NOW.plus_ms(70_000)).await;
    gateways::revoke(db, heard.id, NOW).await.unwrap().unwrap();
    assert_eq!(seen_at(NOW.plus_ms(80_000)).await, [never]);
    assert_eq!(gateways::connected_since(db, NOW).await.unwrap(), []);
    assert_eq!(gateways::active(db, sight).await.unwrap(), [silent]);
}

async fn announcements_become_devices_once(db: &Db) {
    let admin = Sight::of(user(db, "admin@x", UserRole::Admin).await.id);
    let site = site(db, "One").await;
    let gateway = gateway(db, site.id, "a").await;
    let turbine = Announcement {
        device_type: Some(DeviceType::Turbine),
        manufacturer: Some("River".to_owned()),
        model: Some("T5".to_owned()),
        firmware_version: Some("1.0".to_owned()),
        rated_power_w: Some(5_500),
        kind: Some("meter".to_owned()),
        ..announcement("turbine-1", Some("S1"))
    };
    let batch = [turbine.clone(), announcement("radar-1", None), announcement("radar-2", Some("S1"))];
    let first = devices::announce(db, &gateway, &batch, NOW).await.unwrap();
    let again = devices::announce(db, &gateway, &batch, NOW.plus_ms(1_000)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.waiting, [] as [String; 0]);
    assert_eq!(devices::of_site(db, site.id).await.unwrap(), first.devices);
    let numbers: Vec<i64> = first.devices.iter().map(|device| device.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(first.devices[0].timezone, "America/Anchorage");

    let found = async |i: usize| devices::find(db, admin, first.devices[i].id).await.unwrap().unwrap();
    let device = found(0).await;
    assert_eq!((device.serial_number.as_str(), device.capacity_kw), ("S1", 5.5));
    assert_eq!((device.manufacturer.as_str(), device.model.as_str()), ("River", "T5"));
    assert_eq!(device.installation_date.0, date(2026, 11, 23), "the site's day, not UTC's");
    assert_eq!(device.updated_at, device.created_at, "the repeat changed nothing");
    assert_eq!(device.metadata.0.0["kind"], "meter");
    assert!(!device.metadata.0.0.contains_key("unknown"));

    let silent = found(1).await;
    assert_eq!(silent.serial_number, format!("{}/radar-1", site.id));
    let unknown = serde_json::json!(["capacity_kw", "manufacturer", "model", "serial_number"]);
    assert_eq!((silent.capacity_kw, &silent.metadata.0.0["unknown"]), (0.0, &unknown));

    let doubled = found(2).await;
    assert_eq!(doubled.serial_number, format!("{}/radar-2", site.id));
    assert_eq!(doubled.metadata.0.0["reported_serial"], "S1");

    // What becomes known is taken; what a person wrote stays.
    let by_hand = UpdateDevice { manufacturer: Some("OTT".to_owned()), ..UpdateDevice::default() };
    devices::update(db, silent.id, None, &by_hand, NOW).await.unwrap();
    let more = Announcement {
        manufacturer: Some("unsure".to_owned()),
        rated_power_w: Some(2_000),
        ..announcement("radar-1", Some("S2"))
    };
    devices::announce(db, &gateway, &[more], NOW).await.unwrap();
    let device = found(1).await;
    assert_eq!((device.serial_number.as_str(), device.capacity_kw), ("S2", 2.0));
    assert_eq!(device.manufacturer, "OTT");
    let swapped = Announcement { serial_number: Some("S9".to_owned()), ..turbine };
    devices::announce(db, &gateway, &[swapped], NOW).await.unwrap();
    let device = found(0).await;
    assert_eq!((device.serial_number.as_str(), &device.metadata.0.0["reported_serial"]), ("S1", &"S9".into()));
}

async fn a_key_of_another_active_gateway_waits_for_an_admin(db: &Db) {
    let site = site(db, "One").await;
    let (old, new) = (gateway(db, site.id, "old").await, gateway(db, site.id, "new").await);
    let known = devices::announce(db, &old, &[announcement("radar-1", None)], NOW).await.unwrap().devices.remove(0);
    let both = [announcement("radar-1", None), announcement("radar-2", None)];
    let moved = devices::announce(db, &new, &both, NOW).await.unwrap();
    assert_eq!(moved.waiting, ["radar-1"]);
    assert_eq!(moved.devices.len(), 1);
    let holder = devices::of_site(db, site.id).await.unwrap()[0].gateway_id;
    assert_eq!(holder, Some(old.id), "nothing moved by itself");

    let elsewhere = gateway(db, self::site(db, "Two").await.id, "elsewhere").await;
    let give = |gateway_id| UpdateDevice { gateway_id: Some(Some(gateway_id)), ..UpdateDevice::default() };
    let refused = devices::update(db, known.id, None, &give(elsewhere.id), NOW).await;
    assert!(matches!(refused, Err(DbError::MissingReference)), "{refused:?}");
    let confirmed = devices::update(db, known.id, None, &give(new.id), NOW).await.unwrap().unwrap();
    assert_eq!((confirmed.gateway_id, confirmed.pending_gateway_id), (Some(new.id), None));
    let moved = devices::announce(db, &new, &both, NOW).await.unwrap();
    assert_eq!((moved.waiting.len(), moved.devices[0].id), (0, known.id));

    // A revoked gateway holds nothing back.
    gateways::revoke(db, new.id, NOW).await.unwrap();
    let back = devices::announce(db, &old, &both, NOW).await.unwrap();
    assert_eq!((back.waiting.len(), back.devices.len()), (0, 2));
}

async fn device_numbers_are_never_given_twice(db: &Db) {
    let site = site(db, "One").await;
    let one = devices::create(db, &new_device(site.id, None, "1"), NOW).await.unwrap();
    assert!(devices::delete(db, one.id, None).await.unwrap());
    let gateway = gateway(db, site.id, "a").await;
    let keys: Vec<String> = (0..8).map(|i| format!("radar-{i}")).collect();
    let announced = keys.iter().map(|key| async {
        devices::announce(db, &gateway, &[announcement(key, None)], NOW).await.unwrap().devices[0].number
    });
    let mut numbers = Vec::new();
    for number in join_all(announced).await {
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 8);
    assert!(!numbers.contains(&one.number));
    assert_eq!(devices::all_named(db, 0).await.unwrap().len(), 8);
    assert_eq!(devices::all_named(db, numbers[5]).await.unwrap().len(), 2);
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in running.iter_mut().zip(&mut done) {
            if result.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn gaps_are_stored_once_and_listed_latest_first(db: &Db) {
    let site = site(db, "One").await;
    let device = devices::create(db, &new_device(site.id, None, "1"), NOW).await.unwrap();
    let gap = |from: i64, to: i64, reason| NewGap {
        device_id: device.id,
        from: UtcMs(from),
        to: UtcMs(to),
        rows: Some(7),
        reason,
    };
    let all = [
        gap(100, 200, GapReason::UncleanStop),
        gap(100, 200, GapReason::Clock),
        gap(300, 400, GapReason::DeviceSilent),
        NewGap { device_id: Uuid::nil(), rows: None, ..gap(0, 1, GapReason::Clock) },
    ];
    assert_eq!(gaps::insert(db, &all, NOW).await.unwrap(), 3);
    assert_eq!(gaps::insert(db, &all, NOW).await.unwrap(), 0);
    let (from, to) = (UtcMs(i64::MIN), UtcMs(i64::MAX));
    let first = gaps::list(db, device.id, from, to, None, 1).await.unwrap().remove(0);
    assert_eq!((first.from.0, first.reason.0, first.rows), (UtcMs(300), GapReason::DeviceSilent, Some(7)));
    let rest = gaps::list(db, device.id, from, to, Some((first.from.0, first.id)), 10).await.unwrap();
    assert_eq!(rest.len(), 2);
    let rest = gaps::list(db, device.id, from, to, Some((rest[0].from.0, rest[0].id)), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    for (from, to, found) in [(199, 300, 2), (200, 300, 0), (200, 301, 1), (0, 100, 0)] {
        let touched = gaps::list(db, device.id, UtcMs(from), UtcMs(to), None, 10).await.unwrap();
        assert_eq!(touched.len(), found, "[{from}, {to})");
    }
}

async fn concurrent_spending_never_goes_below_zero(db: &Db) {
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query("insert into meta (name, value) values ('balance', '5')").execute(conn).await.map(|_| ())
        })?;
        Ok(())
    })
    .unwrap();
    let spend = || async {
        transact!(db, |tx| {
            let balance: i64 = on!(tx, |conn| {
                sqlx::query_scalar("select cast(value as bigint) from meta where name = 'balance'")
                    .fetch_one(conn)
                    .await
            })?;
            if balance == 0 {
                return Err(DbError::Refused("empty"));
            }
            on!(tx, |conn| {
                sqlx::query("update meta set value = $1 where name = 'balance'")
                    .bind((balance - 1).to_string())
                    .execute(conn)
                    .await
                    .map(|_| ())
            })?;
            Ok(())
        })
    };
    let results = join_all((0..10).map(|_| spend())).await;
    let spent = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|result| matches!(result, Err(DbError::Refused(_)))).count();
    assert_eq!((spent, refused), (5, 5), "{results:?}");
}

async fn an_idempotency_key_runs_one_request(db: &Db) {
    let person = user(db, "a@x", UserRole::Admin).await.id;
    let begin = async |hash: &str, at: UtcMs| idempotency::begin(db, person, "k", hash, at).await.unwrap();
    assert!(matches!(begin("h", NOW).await, Begun::First));
    assert!(matches!(begin("h", NOW).await, Begun::Running));
    idempotency::forget(db, person, "k").await.unwrap();
    assert!(matches!(begin("h", NOW).await, Begun::First));
    let answer = idempotency::Answer {
        status: 201,
        location: Some("/x".to_owned()),
        etag: Some("\"1\"".to_owned()),
        body: "{}".to_owned(),
    };
    idempotency::finish(db, person, "k", &answer).await.unwrap();
    assert!(matches!(begin("other", NOW).await, Begun::OtherRequest));
    match begin("h", NOW.plus_ms(idempotency::REMEMBERED_MS)).await {
        Begun::Answered(again) => assert_eq!(again, answer),
        other => panic!("{other:?}"),
    }
    assert!(matches!(begin("h", NOW.plus_ms(idempotency::REMEMBERED_MS + 1)).await, Begun::First));
}

async fn migrating_again_changes_nothing(db: &Db) {
    let epoch = meta::epoch(db).await.unwrap();
    let person = user(db, "a@x", UserRole::Admin).await;
    migrate(db).await.unwrap();
    assert_eq!(meta::epoch(db).await.unwrap(), epoch);
    assert_eq!(users::find(db, person.id).await.unwrap(), Some(person));
}
