-- Which boot of the machine a policy was confirmed in, and how long it had been up: what the clock says can be held against that.

ALTER TABLE confirmations ADD COLUMN boot_id TEXT;
ALTER TABLE confirmations ADD COLUMN since_boot_ms BIGINT;
