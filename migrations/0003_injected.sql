-- Messages that eaves itself put into a conversation.
ALTER TABLE messages ADD COLUMN injected INTEGER NOT NULL DEFAULT 0;
