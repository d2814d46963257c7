//! What tasks keep in an engine for later tasks.

use std::any::{Any, TypeId};
use std::collections::HashMap;

/// At most one value of each type.
#[derive(Debug, Default)]
pub(crate) struct Kept(HashMap<TypeId, Box<dyn Any>>);

impl Kept {
    /// Takes the `T` out, or a new one if there is none.
    pub fn take<T: Any + Default>(&mut self) -> T {
        let kept = self.0.remove(&TypeId::of::<T>());
        kept.and_then(|kept| kept.downcast().ok())
            .map_or_else(T::default, |kept| *kept)
    }

    /// Keeps `value` until it is taken.
    pub fn put<T: Any>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_each_what_it_kept() {
        let mut kept = Kept::default();
        kept.put(1_u32);
        kept.put("one".to_owned());
        kept.put(2_u32);
        assert_eq!(kept.take::<u32>(), 2);
        assert_eq!(kept.take::<u32>(), 0, "it was taken");
        assert_eq!(kept.take::<String>(), "one");
    }
}
