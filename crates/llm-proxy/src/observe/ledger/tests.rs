//! What a ledger keeps, told by what is in it.
