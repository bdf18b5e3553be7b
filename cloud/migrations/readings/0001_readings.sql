-- Readings and roll-ups on PostgreSQL; with SQLite they stand in files of their own.
-- Times are UTC in ms, values integers of their metric's unit, devices their numbers.

-- A partition a calendar month (UTC), made by the service: readings_2026_11.
create table readings (
    device bigint not null,
    time bigint not null,
    power_output_kw bigint, voltage_v bigint, current_a bigint, frequency_hz bigint,
    efficiency_percent bigint, temperature_c bigint, vibration_level bigint,
    water_flow_rate bigint, battery_level_percent bigint,
    received_at bigint not null,
    -- That of the correction which put it here.
    revision bigint,
    -- Further metrics, and what is not good: both packed, null when there is nothing to say.
    extra bytea, flags bytea,
    primary key (device, time)
) partition by range (time);

-- What corrections replaced.
create table readings_replaced (like readings);
alter table readings_replaced alter column revision set not null;
alter table readings_replaced add primary key (device, time, revision);

-- The newest reading of each device by time. Whoever writes readings of a device holds its row here, so
-- what stands beside new readings does not change while they are written.
create table readings_latest (
    device bigint primary key,
    time bigint,
    revision bigint
) with (fillfactor = 50);

-- Hours (since 1970) whose roll-ups do not know yet what stands in the rows.
create sequence readings_dirty_version;
create table readings_dirty (
    device bigint not null,
    hour bigint not null,
    -- Another one with every write that touches the hour; no version is given twice.
    version bigint not null,
    touched_at bigint not null,
    primary key (device, hour)
) with (fillfactor = 50);
create index readings_dirty_hour on readings_dirty (hour);

create table rollups (
    device bigint not null,
    -- 0 minute, 1 quarter of an hour, 2 hour, 3 day.
    resolution smallint not null check (resolution between 0 and 3),
    start bigint not null,
    energy_wh bigint,
    covered_ms bigint not null,
    metrics bytea not null,
    primary key (device, resolution, start)
);

-- The IANA zone whose days the windows of a device's days are.
create table rollup_day_zones (
    device bigint primary key,
    zone text not null
);

-- Batches and their receipts, so that the same batch gets the same receipt. A sequence beyond the
-- signed numbers stands as its bits.
create table batches (
    store uuid not null,
    sequence bigint not null,
    hash bytea not null,
    receipt bytea not null,
    answered_at bigint not null,
    primary key (store, sequence)
);
create index batches_answered_at on batches (answered_at);

-- The highest sequence of each store that was ever answered, also once its batches are forgotten: a gateway
-- that knows a higher one learns by it that this database is an older copy.
create table batch_stores (
    store uuid primary key,
    sequence bigint not null
) with (fillfactor = 50);
