-- The texts of edge.toml that gateways sent, without secrets, so that a new box or card can go on where the
-- old one ended. A version is named by its text, and a text that comes again only by its time.
create table configurations (
    gateway_id blob not null references gateways (id) on delete cascade,
    version blob not null,
    text text not null,
    received_at integer not null,
    primary key (gateway_id, version)
) strict;
-- The one that came last, so that receipts can say it without looking it up. No new version of the
-- gateway: updated_at stays.
alter table gateways add column
    config_version blob;
