//! Candidates of a descriptor among the products.

use larder_kernels::describe::similarity;
use larder_records::Candidate;

use super::References;

/// Candidates kept of one sighting.
pub(super) const MAX_CANDIDATES: usize = 8;

/// The products that `embedding` is most like, best first.
pub(super) fn candidates(embedding: &[i8], references: &References) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = references
        .iter()
        .filter_map(|(product, descriptors)| {
            let score = descriptors.iter().map(|known| similarity(embedding, known)).max()?;
            Some(Candidate { product, score })
        })
        .collect();
    found.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.product));
    found.truncate(MAX_CANDIDATES);
    found
}
