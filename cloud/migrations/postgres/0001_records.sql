-- Records on PostgreSQL: people, sites, devices, gateways. The same tables, columns, checks and
-- index names stand in ../sqlite/0001_records.sql; a test compares the two.
--
-- Six column types: uuid, bigint, text, boolean, double precision, json (text). Times are bigint,
-- UTC milliseconds; views with native types for people with SQL tools come later.
-- A unique index is named <table>_<column>…, so that a violation names its field.

create table meta (
    name text not null primary key,
    value text not null
);

create table users (
    id uuid not null primary key,
    -- Stored in lower case: unique without case on both databases.
    email text not null,
    password_hash text not null,
    first_name text not null,
    last_name text not null,
    role text not null default 'customer' check (role in ('admin', 'customer', 'technician', 'viewer')),
    is_active boolean not null default true,
    email_verified boolean not null default false,
    last_login bigint,
    created_at bigint not null,
    updated_at bigint not null,
    created_by uuid references users (id) on delete set null,
    metadata text not null default '{}'
);
create unique index users_email on users (email);

-- One sign-in of one person on one device; access tokens name it.
create table sessions (
    id uuid not null primary key,
    -- Null when the user was deleted: the revocation must outlive them.
    user_id uuid references users (id) on delete set null,
    created_at bigint not null,
    expires_at bigint not null,
    -- Kept after the end, until no access token can live: other instances learn of it here.
    revoked_at bigint
);
create index sessions_user_id on sessions (user_id);
create index sessions_revoked_at on sessions (revoked_at);
create index sessions_expires_at on sessions (expires_at);

-- Refresh tokens of a session form a tree: two tabs that refresh together each get a child.
create table refresh_tokens (
    -- SHA-256 of the token's id, in hexadecimal; the id itself is never stored.
    token_hash text not null primary key,
    session_id uuid not null references sessions (id) on delete cascade,
    expires_at bigint not null,
    used_at bigint
);
create index refresh_tokens_session_id on refresh_tokens (session_id);

create table sites (
    id uuid not null primary key,
    name text not null,
    region text not null,
    river_name text not null,
    latitude double precision not null check (latitude between -90 and 90),
    longitude double precision not null check (longitude between -180 and 180),
    elevation double precision,
    water_depth double precision,
    flow_rate double precision,
    capacity_kw double precision not null check (capacity_kw >= 0),
    installation_date text,
    status text not null default 'active' check (status in ('active', 'maintenance', 'offline', 'decommissioned')),
    -- IANA name: the site's calendar makes days, months and invoices.
    timezone text not null,
    -- ISO 4217.
    currency text not null,
    created_at bigint not null,
    updated_at bigint not null,
    metadata text not null default '{}'
);

create table site_members (
    site_id uuid not null references sites (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    created_at bigint not null,
    primary key (site_id, user_id)
);
create index site_members_by_user on site_members (user_id, site_id);

create table customer_subscriptions (
    id uuid not null primary key,
    user_id uuid not null references users (id) on delete cascade,
    site_id uuid not null references sites (id) on delete cascade,
    subscription_type text not null check (subscription_type in ('basic', 'premium', 'enterprise')),
    start_date text not null,
    end_date text,
    status text not null default 'active' check (status in ('active', 'suspended', 'cancelled', 'expired')),
    created_at bigint not null,
    updated_at bigint not null
);
create unique index customer_subscriptions_user_id_site_id on customer_subscriptions (user_id, site_id);
create index customer_subscriptions_by_site on customer_subscriptions (site_id);

create table gateways (
    id uuid not null primary key,
    site_id uuid not null references sites (id) on delete cascade,
    name text not null,
    -- SHA-256 in hexadecimal; codes and credentials are random, so they need no slow hash.
    enrollment_code_hash text,
    enrollment_expires_at bigint,
    enrolled_at bigint,
    credential_hash text,
    -- After a rotation the old credential holds until the new one is first used, at most to this time.
    previous_credential_hash text,
    previous_until bigint,
    revoked_at bigint,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index gateways_enrollment_code_hash on gateways (enrollment_code_hash);
create unique index gateways_credential_hash on gateways (credential_hash);
create unique index gateways_previous_credential_hash on gateways (previous_credential_hash);
create index gateways_by_site on gateways (site_id);

create table devices (
    id uuid not null primary key,
    -- Names the device in stored readings; given once, never again after a deletion.
    number bigint not null,
    site_id uuid not null references sites (id) on delete cascade,
    -- Its id in edge.toml; null for a device that no gateway reads.
    key text,
    -- The gateway that reads it.
    gateway_id uuid references gateways (id) on delete set null,
    -- Another gateway of the site that announced the key: a move that an admin confirms.
    pending_gateway_id uuid references gateways (id) on delete set null,
    device_name text not null,
    device_type text not null check (device_type in ('turbine', 'sensor', 'controller', 'battery')),
    serial_number text not null,
    model text not null,
    manufacturer text not null,
    capacity_kw double precision not null check (capacity_kw >= 0),
    installation_date text not null,
    last_maintenance text,
    next_maintenance text,
    status text not null default 'active' check (status in ('active', 'maintenance', 'offline', 'error', 'warning')),
    firmware_version text,
    hardware_version text,
    -- How often its gateway polls it; readings three intervals apart have a hole between them.
    interval_ms bigint,
    created_at bigint not null,
    updated_at bigint not null,
    metadata text not null default '{}'
);
create unique index devices_number on devices (number);
create unique index devices_serial_number on devices (serial_number);
create unique index devices_site_id_key on devices (site_id, key);
create index devices_by_gateway on devices (gateway_id);

-- Spans whose readings will never come, and why.
create table gaps (
    id uuid not null primary key,
    device_id uuid not null references devices (id) on delete cascade,
    from_ms bigint not null,
    to_ms bigint not null check (to_ms >= from_ms),
    -- How many readings are missing, where that is known.
    row_count bigint check (row_count >= 0),
    reason text not null check (reason in ('store_full_thinned', 'store_full_dropped', 'store_damaged', 'unclean_stop', 'disk_error', 'clock', 'dead_letter_discarded', 'device_silent')),
    created_at bigint not null
);
create unique index gaps_device_id_from_ms_to_ms_reason on gaps (device_id, from_ms, to_ms, reason);

-- First answers to POST requests with an Idempotency-Key.
create table idempotency_keys (
    user_id uuid not null references users (id) on delete cascade,
    key text not null,
    -- SHA-256 of method, path and body, in hexadecimal.
    request_hash text not null,
    status bigint not null,
    location text,
    etag text,
    body text not null,
    created_at bigint not null,
    primary key (user_id, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);

-- Who sees which site: the one place where the rule stands.
create view sight as
    select users.id as user_id, sites.id as site_id
        from users cross join sites
        where users.role = 'admin' and users.is_active
    union all
    select site_members.user_id, site_members.site_id
        from site_members join users on users.id = site_members.user_id
        where users.role in ('technician', 'viewer') and users.is_active
    union all
    select customer_subscriptions.user_id, customer_subscriptions.site_id
        from customer_subscriptions join users on users.id = customer_subscriptions.user_id
        where users.role = 'customer' and users.is_active and customer_subscriptions.status = 'active';
