//! What every store promises, held against every store; and what S3 alone can get wrong. The S3
//! parts need a server: `make test` starts one.

#![allow(clippy::expect_used, clippy::panic)]

mod contract;
mod home;
mod proxy;
mod s3;
mod stub;

/// Every promise as a test of every store.
macro_rules! hold {
    ($($promise:ident)*) => {
        mod folder {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                super::contract::$promise(super::home::folders(&folder).await).await;
            })*
        }
        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::contract::$promise(super::home::memories()).await;
            })*
        }
        mod bucket {
            $(#[tokio::test]
            async fn $promise() {
                super::home::with_prefixes(super::contract::$promise).await;
            })*
        }
    };
}

hold! {
    keeps_replaces_and_removes
    one_of_many_writers_wins
    knows_size_and_age
    lists_what_is_in_a_folder
    lists_more_than_a_page
    knows_which_of_many_are_there
    has_no_folders_as_objects
    holds_big_objects
    holds_empty_objects
    takes_odd_keys
    refuses_keys_that_climb
    keeps_to_its_own_part
    stands_the_check
    carries_files
    leaves_the_file_alone_if_there_is_no_object
    refuses_files_with_another_digest
    refuses_objects_with_another_digest
    says_which_file_it_cannot_read
    reads_ranges
    resumes_in_the_same_object_only
    offers_urls_only_if_it_has_a_server
}
