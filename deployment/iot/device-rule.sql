SELECT device_id, site_id, status, agent_version, cpu_pct, disk_free_gb, queue_depth, poll_interval_s, last_upload_ts,
topic(2) AS topic_site, topic(3) AS topic_device, timestamp() AS received_at
FROM 'hvac/+/+/heartbeat'
