-- When a gateway was last heard, and whether it was not lost since. The service knows both exactly in
-- memory; here they stand at most a minute old, so that they outlive a restart without a write a
-- request. They are no new version of the gateway: updated_at stays.
alter table gateways add column
    last_seen_at integer;
alter table gateways add column
    is_connected integer not null default 0 check (is_connected in (0, 1));
