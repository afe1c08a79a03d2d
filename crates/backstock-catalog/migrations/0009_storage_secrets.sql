-- The secrets of a storage (passwords, keys, tokens), sealed with the key of this instance: never part of its settings.

ALTER TABLE storages ADD COLUMN sealed_secrets TEXT;
