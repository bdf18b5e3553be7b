use super::*;
use crate::db::column::At;

const T: UtcMs = UtcMs(1_795_508_130_000);

fn gateway(number: u128) -> Gateway {
    Gateway {
        id: Uuid::from_u128(number),
        site_id: Uuid::from_u128(100 + number),
        name: "Box".to_owned(),
        enrolled_at: Some(At(T)),
        revoked_at: None,
        last_seen_at: None,
        created_at: At(T),
        updated_at: At(T),
        config_version: None,
    }
}

fn empty() -> Presence {
    let changes = broadcast::channel(CHANGES_MAX).0;
    Presence(Arc::new(Inner { contacts: Mutex::default(), changes }))
}

/// The changes since last asked: gateway and link.
fn told(changes: &mut Receiver<Seen>) -> Vec<(Uuid, GatewayLink)> {
    std::iter::from_fn(|| changes.try_recv().ok()).map(|seen| (seen.id, seen.link)).collect()
}

#[test]
fn a_link_is_connected_then_lost_then_connected_and_each_change_is_told_once() {
    let (presence, box_1) = (empty(), gateway(1));
    let mut changes = presence.changes();
    assert_eq!(presence.see(&box_1).link, GatewayLink::Never);
    for second in [0, 10, 20] {
        presence.hear(&box_1, T.plus_ms(second * 1_000));
        presence.look(T.plus_ms(second * 1_000));
    }
    assert_eq!(told(&mut changes), [(box_1.id, GatewayLink::Connected)]);
    assert_eq!(presence.see(&box_1).last_seen_at, Some(T.plus_ms(20_000)));
    presence.look(T.plus_ms(50_000));
    assert_eq!(told(&mut changes), []);
    presence.look(T.plus_ms(50_001));
    presence.look(T.plus_ms(60_000));
    assert_eq!(told(&mut changes), [(box_1.id, GatewayLink::Lost)]);
    let lost = presence.see(&box_1);
    assert_eq!((lost.link, lost.last_seen_at), (GatewayLink::Lost, Some(T.plus_ms(20_000))));
    presence.hear(&box_1, T.plus_ms(70_000));
    assert_eq!(told(&mut changes), [(box_1.id, GatewayLink::Connected)]);
}

#[test]
fn a_revoked_gateway_is_lost_at_once_and_others_are_not() {
    let presence = empty();
    let mut changes = presence.changes();
    [1, 2].into_iter().for_each(|number| presence.hear(&gateway(number), T));
    told(&mut changes);
    presence.end(gateway(1).id);
    presence.end(gateway(3).id);
    assert_eq!(told(&mut changes), [(gateway(1).id, GatewayLink::Lost)]);
    assert_eq!(presence.see(&gateway(2)).link, GatewayLink::Connected);
}

#[test]
fn what_stands_in_the_record_is_said_of_one_that_was_not_heard_since() {
    let recorded = Gateway { last_seen_at: Some(At(T)), ..gateway(1) };
    let seen = Seen { id: recorded.id, site_id: recorded.site_id, link: GatewayLink::Lost, last_seen_at: Some(T) };
    assert_eq!(empty().see(&recorded), seen);
}

#[test]
fn silence_while_the_service_was_away_does_not_count() {
    let presence = empty();
    let mut changes = presence.changes();
    let last_seen_at = T.plus_ms(-500_000);
    let heard =
        Heard { id: gateway(1).id, site_id: gateway(1).site_id, last_seen_at: At(last_seen_at), is_connected: true };
    let contact = Contact { heard, silent_since: T, rhythm: Rhythm::default(), written: Some(heard) };
    presence.lock().insert(heard.id, contact);
    presence.look(T.plus_ms(180_000));
    assert_eq!(told(&mut changes), []);
    assert_eq!(presence.see(&gateway(1)).last_seen_at, Some(last_seen_at));
    presence.look(T.plus_ms(180_001));
    assert_eq!(told(&mut changes), [(heard.id, GatewayLink::Lost)]);
}
