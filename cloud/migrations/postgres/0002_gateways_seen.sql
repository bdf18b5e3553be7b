-- When a gateway was last heard, and whether it was not lost since. The service knows both exactly in
-- memory; here they stand at most a minute old, so that they outlive a restart without a write a
-- request. They are no new version of the gateway: updated_at stays.
alter table gateways add column
    last_seen_at bigint;
alter table gateways add column
    is_connected boolean not null default false;
