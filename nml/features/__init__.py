"""Features of every task under every encoder: extracted once, cached, and read by all that follows."""
