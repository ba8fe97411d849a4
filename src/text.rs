//! What a field's text becomes before it is sent.
