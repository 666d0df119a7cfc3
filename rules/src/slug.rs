//! What an action or a page is called in an address.

/// A whole slug: `users/create`.
pub const SLUG_BYTES_MAX: usize = 200;

/// `[-_.a-zA-Z0-9]+`, many of them with a `/` between. Dots alone mean another place in an address.
pub fn is_slug(slug: &str) -> bool {
    let is_word = |word: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !word.is_empty() && word.bytes().all(is_good) && word != "." && word != ".."
    };
    slug.len() <= SLUG_BYTES_MAX && slug.split('/').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_whole_paths() {
        for good in ["a", "users/create", "A-b_c.9", "a/b/c", "..."] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "a//b", "a b", "ä", "a?b", "..", "a/../b", ".", "a\\b", &"a".repeat(201)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
