//! The operating system's randomness.

use tidegate_domain::Entropy;

/// Randomness from the operating system, through the cryptographic library's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the operating system has no randomness to give. A predictable token would be worse than a failed request.
    fn fill(&self, buffer: &mut [u8]) {
        let filled = aws_lc_rs::rand::fill(buffer);
        assert!(filled.is_ok(), "the operating system gave no randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let entropy: &dyn Entropy = &SystemEntropy;
        assert_ne!(entropy.bytes::<32>(), entropy.bytes::<32>());
    }
}
