//! Parts of a dump, other databases, other accounts, and the fallback in place.
