SELECT devices, topic(2) AS topic_site, timestamp() AS received_at FROM 'hvac/+/heartbeats'
