"""The raw server and the raw upstream client. Frames bytes; decides nothing about them."""
