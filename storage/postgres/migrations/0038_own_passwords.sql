-- Who chose a password. One that its owner set in the console ends when another tenant gives the account a role.

ALTER TABLE people ADD COLUMN is_own_password boolean NOT NULL DEFAULT false;
