"""Which tests a change touches: by what they ran on the base where that was recorded, and by what they import."""
