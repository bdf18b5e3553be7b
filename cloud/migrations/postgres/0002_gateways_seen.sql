-- When a gateway was last heard. The service knows it exactly in memory; here it stands at most a
-- minute old, so that it outlives a restart without a write a request. It is no new version of the
-- gateway: updated_at stays.
alter table gateways add column
    last_seen_at bigint;
create index gateways_last_seen_at on gateways (last_seen_at);
