INSERT INTO bench_commits (payload) VALUES (('{"text": "' || repeat('x', 1000) || '"}')::jsonb);
