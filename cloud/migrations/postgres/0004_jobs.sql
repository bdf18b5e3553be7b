-- Work that must be done although the service ends meanwhile. Whoever runs a job has it until
-- lease_until and under a fence of its own; who comes back later with an older fence changes nothing.
create table jobs (
    id uuid not null primary key,
    -- Without a check, which SQLite could not change when a kind is added.
    kind text not null,
    payload text not null default '{}',
    -- Of jobs with the same key one waits or runs at a time.
    key text,
    state text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'dead')),
    run_at bigint not null,
    -- How often it was begun.
    attempts bigint not null default 0,
    lease_until bigint,
    fence bigint not null default 0,
    last_error text,
    result text,
    created_at bigint not null,
    finished_at bigint
);
create unique index jobs_key on jobs (key) where state in ('waiting', 'running');
create index jobs_state_run_at on jobs (state, run_at);
create index jobs_finished_at on jobs (finished_at);

-- For which of its times a schedule last made a job.
create table schedules (
    name text not null primary key,
    due_at bigint not null
);
