"""HTTP/1.1 for the mocks: one asyncio Protocol over httptools, with the say over every byte and over how a connection ends."""
