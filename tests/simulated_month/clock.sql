-- A clock of the test's own: now() is what a session's setting says. Times are microseconds since the fleet's start.
CREATE SCHEMA clock;

CREATE FUNCTION clock.at(microseconds bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN timestamptz '2026-10-06 00:00Z' + microseconds * interval '1 microsecond';

CREATE FUNCTION clock.since(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (extract(epoch FROM at - timestamptz '2026-10-06 00:00Z') * 1000000)::bigint;

CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_setting('clock.now')::timestamptz;

CREATE FUNCTION clock.turn(microseconds bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('clock.now', clock.at(microseconds)::text, false);
END
$$;

-- after the migrations

-- Heartbeats that no rule can see one by one, because no two are more than 120 seconds apart: only the last is written,
-- as the upsert would have written it. The ledger looks away meanwhile, because it would take the rest for a silence.
CREATE FUNCTION clock.keep_alive(devices text[], seen bigint[], written bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hvac_heartbeat.ledger', 'failed', true);
    UPDATE public.device_state AS state
       SET last_seen_ts = clock.at(beat.seen), updated_at = clock.at(beat.written)
      FROM unnest(devices, seen, written) AS beat (device_id, seen, written)
     WHERE state.device_id = beat.device_id;
    PERFORM set_config('hvac_heartbeat.ledger', '', true);
END
$$;

-- An event, as the function writes it: the newest heartbeat of each device, then what was late.
CREATE FUNCTION clock.deliver(ids text[], sites text[], seen timestamptz[],
                              late_ids text[], late_sites text[], late_seen timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found text[];
BEGIN
    WITH written AS ({upsert}) SELECT array_agg(device_id) INTO found FROM written;
    IF cardinality(late_ids) > 0 OR cardinality(found) IS DISTINCT FROM cardinality(ids) THEN
        PERFORM note_late_heartbeats(late_ids || array_agg(device_id), late_seen || array_agg(seen_at),
                                     late_sites || array_agg(site_id))
           FROM unnest(ids, seen, sites) AS heartbeat (device_id, seen_at, site_id)
          WHERE device_id <> ALL (coalesce(found, '{}'));
    END IF;
END
$$;

-- What happened from one look to the next.
CREATE FUNCTION clock.play(steps jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    step jsonb;
BEGIN
    FOR step IN SELECT jsonb_array_elements(steps) LOOP
        PERFORM clock.turn((step->>0)::bigint);
        IF step->>1 <> '' THEN
            PERFORM clock.keep_alive(string_to_array(step->>1, ' '), string_to_array(step->>2, ' ')::bigint[],
                                     string_to_array(step->>3, ' ')::bigint[]);
        END IF;
        IF step->>4 <> '' THEN
            PERFORM clock.deliver(string_to_array(step->>4, ' '), string_to_array(step->>5, ' '),
                                  (step->>6)::timestamptz[], string_to_array(step->>7, ' '),
                                  string_to_array(step->>8, ' '), (step->>9)::timestamptz[]);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION clock.sweep(at bigint, first_failure bigint, last_failure bigint, canary text)
RETURNS TABLE (is_skipped boolean, devices bigint, stale bigint, opened bigint, closed bigint, messages bigint,
               is_fleet_silent boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM clock.turn(at);
    RETURN QUERY SELECT * FROM sweep(tstzrange(clock.at(nullif(first_failure, -1)), clock.at(nullif(last_failure, -1)), '[]')
                                     * CASE WHEN first_failure >= 0 THEN tstzrange(NULL, NULL) END, canary);
END
$$;

-- Ends a sweep at its statement number clock.strike: by an error, or with its session.
CREATE FUNCTION clock.strike() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    left_over integer := current_setting('clock.strike')::integer - 1;
BEGIN
    IF left_over >= 0 THEN
        PERFORM set_config('clock.strike', left_over::text, false);
    END IF;
    IF left_over = 0 AND current_setting('clock.strike_ends_session')::boolean THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(10);
    ELSIF left_over = 0 THEN
        RAISE EXCEPTION 'struck down';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER strike AFTER INSERT OR UPDATE OR DELETE ON episode FOR EACH STATEMENT EXECUTE FUNCTION clock.strike();
CREATE TRIGGER strike AFTER INSERT OR UPDATE OR DELETE ON silence_message FOR EACH STATEMENT EXECUTE FUNCTION clock.strike();
CREATE TRIGGER strike AFTER INSERT OR UPDATE ON fleet_silence FOR EACH STATEMENT EXECUTE FUNCTION clock.strike();
CREATE TRIGGER strike AFTER INSERT ON deaf_interval FOR EACH STATEMENT EXECUTE FUNCTION clock.strike();
