//! What somebody probably meant who wrote a word wrongly.

/// The one of `words` that `written` is most like; none if it is like none of them.
pub fn similar<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let far = |word: &str| strsim::damerau_levenshtein(&written, &word.to_lowercase());
    // A third of the letters may be wrong, but not so many that nothing is left of the word.
    let limit = (written.chars().count() / 3).max(1);
    let measured = words.into_iter().map(|word| (far(word), word));
    let close = measured.filter(|&(far, word)| far <= limit && far < word.chars().count());
    close.min_by_key(|(far, _)| *far).map(|(_, word)| word)
}

/// The same as the end of a message, as in `; did you mean wave?`, or nothing.
pub fn did_you_mean<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    similar(written, words).map_or_else(String::new, |word| format!("; did you mean {word}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_any_is_near() {
        let words = ["evaluations", "tv-weight", "seed", "none", "a", "b"];
        for (written, meant) in [
            ("evalutions", Some("evaluations")),
            ("tv_weight", Some("tv-weight")),
            ("SEED", Some("seed")),
            ("sede", Some("seed")),
            ("need", Some("seed")),
            ("monet", None),
            ("c", None),
            ("", None),
        ] {
            assert_eq!(similar(written, words), meant, "{written}");
        }
        // Random names are like one another in no way that helps.
        assert_eq!(similar("b-0123456789abcdef", ["b-1f9a0c77d2e84b36"]), None);
        assert_eq!(did_you_mean("sede", words), "; did you mean seed?");
        assert_eq!(did_you_mean("monet", words), "");
    }
}
