-- Telling: who is told of a silence, once and soon (docs/operations.md). It stands on the ledger (r0002_ledger.sql).
-- One function, `sweep`, may be run by anyone at any time, twice at once, late, or be killed. It judges what is known,
-- notes what is to be told, and writes the messages, all in one transaction. Who delivers them leases them afterwards.

-- Makes again what is missing of its own, and may be run twice. Run it in one transaction.
SELECT set_config('hvac_heartbeat.search_path', current_setting('search_path'), true),
       set_config('search_path', concat_ws(', ', relnamespace::regnamespace, 'pg_temp'), true)
  FROM pg_class WHERE oid = to_regclass('device_state');

-- What is to be told, or was told, of a device's silence. At most one is open per device.
CREATE TABLE IF NOT EXISTS episode (
    device_id     text        NOT NULL,
    site_id       text        NOT NULL,
    silent_from   timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL,
    closed_at     timestamptz,
    returned_at   timestamptz,
    is_flapping   boolean     NOT NULL DEFAULT false,
    told_open     boolean     NOT NULL DEFAULT false, -- its present state, flapping or silent, was told
    told_flapping boolean     NOT NULL DEFAULT false,
    told_closed   boolean     NOT NULL DEFAULT false, -- nothing is left to tell of it
    PRIMARY KEY (device_id, opened_at)
);
CREATE UNIQUE INDEX IF NOT EXISTS episode_open ON episode (device_id) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS episode_untold ON episode (opened_at) WHERE NOT told_closed; -- a name may be too long for one
CREATE INDEX IF NOT EXISTS episode_closed_at ON episode (closed_at);

-- Times in which almost nobody or many at once were not heard, or only late. Where there is evidence that it was us, a
-- deaf interval is made of it.
CREATE TABLE IF NOT EXISTS fleet_silence (
    silent_from timestamptz NOT NULL,
    opened_at   timestamptz PRIMARY KEY,
    ended_at    timestamptz,
    evidence    text,
    is_deaf     boolean     NOT NULL DEFAULT false, -- the deaf interval was written
    told_began  boolean     NOT NULL DEFAULT false,
    told_ended  boolean     NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX IF NOT EXISTS fleet_silence_open ON fleet_silence ((true)) WHERE ended_at IS NULL;

-- The outbox.
CREATE TABLE IF NOT EXISTS silence_message (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedup_id        text        NOT NULL UNIQUE,
    kind            text        NOT NULL CHECK (kind IN ('Silence Opened', 'Silence Ended', 'Ingest Deaf')),
    scope           text        NOT NULL CHECK (scope IN ('site', 'digest', 'standing', 'fleet')),
    site_id         text        CHECK ((scope = 'site') = (site_id IS NOT NULL)),
    body            jsonb       NOT NULL,
    created_at      timestamptz NOT NULL,
    delivered_to    text[]      NOT NULL DEFAULT '{}',
    delivered_at    timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    leased_until    timestamptz
);
CREATE INDEX IF NOT EXISTS silence_message_created_at ON silence_message (created_at);

-- Who came back lately is asked of the ledger by the end of the silence. Silences are written in the order of their
-- ends, so that ranges of pages are enough.
CREATE INDEX IF NOT EXISTS silence_silent_to ON silence USING brin (silent_to) WITH (autosummarize = on);

-- Devices that were taken out of service have maintenance without an end, so there may be many.
CREATE INDEX IF NOT EXISTS maintenance_window_subject ON maintenance_window (subject, scope);

-- What the functions below hand on, one after the other. (There is no CREATE TYPE IF NOT EXISTS.)
DO $$
BEGIN
    IF to_regtype('fleet_glance') IS NULL THEN
        CREATE TYPE fleet_glance AS (newest timestamptz, devices bigint, behind_by interval);
    END IF;
    IF to_regtype('silent_part') IS NULL THEN
        CREATE TYPE silent_part AS (quiet bigint, stale bigint, due_sites text[]);
    END IF;
    IF to_regtype('site_glance') IS NULL THEN
        CREATE TYPE site_glance AS (heard timestamptz, together timestamptz);
    END IF;
    IF to_regtype('fleet_survey') IS NULL THEN
        CREATE TYPE fleet_survey AS (sites bigint, is_silent boolean, was_silent boolean, silent_from timestamptz);
    END IF;
    IF to_regtype('site_news') IS NULL THEN
        CREATE TYPE site_news AS (kind text, site_id text, devices bigint, silent bigint, silent_from timestamptz,
                                  returned_at timestamptz, device_ids text[], flapping text[],
                                  waits_since timestamptz, content text);
    END IF;
END
$$;
