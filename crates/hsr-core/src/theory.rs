//! The closed form, complete: what the other pages call "theory §3" stands here. No code.
//!
//! The book derives it line by line, in the chapters under *Theory* in the repository's `docs/src`. Everything is
//! checked against an independent automatic differentiation (`tests/golden` in the repository): ten activations, three
//! losses, weights, soft labels, missing biases, one sample, tiny and huge parameters.
//!
//! The idea of descending the bound by a closed form is that of Y. Kakimoto, Y. Omae, K. Sakai, Y. Sakai, M. Sasaki
//! and H. Takahashi (here in alphabetical order), "Closed-Form Steepest Descent Direction toward Flat Minima: Reducing
//! Upper Bounds on the Loss Hessian Eigenspectrum in Neural Networks", arXiv 2606.28662, for the softmax
//! cross-entropy. The derivation, for any smooth activation and three losses, is this project's own.
//!
//! A dot marks a change along a direction v, a bar the derivative of the final number for a quantity. `A∘B` is the
//! product entry by entry, `⟨A, B⟩` the sum of its entries, `A ⊗ B` the Kronecker product.
//!
//! # §1 Network, loss, notation
//!
//! Sample n = 1, …, N with input x (d values) and target y; h hidden units, K outputs:
//!
//! ```text
//! z = W1 x + b1        a = φ(z)        o = W2 a + b2
//! L = Σ_n ω_n ℓ(o_n, y_n),        Σ_n ω_n = 1
//! d1 = φ'(z)        d2 = φ''(z)        d3 = φ'''(z)
//! D = h (d + [bias1]) + K (h + [bias2])
//! ```
//!
//! The plain mean has ω = 1/N. x̃ and ã are x and a with a 1 appended where the layer has a bias.
//!
//! A loss is known by three things, with the weight ω in them, for H is linear in r and S:
//!
//! | loss | residual r = ω ∂ℓ/∂o | curvature S = ω ∂²ℓ/∂o² | pull(S̄, r̄), the adjoint ō of o |
//! |---|---|---|---|
//! | softmax cross-entropy, hard or soft labels summing to 1, p = softmax(o) | ω(p − y) | ω(diag p − p pᵀ) | p∘(p̄ − p·p̄) with p̄ = ω(diag S̄ − (S̄ + S̄ᵀ)p + r̄) |
//! | sigmoid cross-entropy, mean over K outputs, p = σ(o) | (ω/K)(p − y) | (ω/K) diag p(1 − p) | (ω/K) p(1 − p)∘(r̄ + diag S̄∘(1 − 2p)) |
//! | squared error, mean over K outputs | (2ω/K)(o − y) | (2ω/K) I | (2ω/K) r̄ |
//!
//! Of each sample:
//!
//! ```text
//! U = W2 diag(d1)        Q = S U        R = r d1ᵀ
//! g = W2ᵀ r        c = g∘d2        M = Uᵀ Q + diag c
//! ```
//!
//! U is ∂o/∂z, M the Hessian of the sample's loss in z.
//!
//! # §2 The Hessian's blocks
//!
//! ```text
//! H22 = Σ_n S ⊗ ã ãᵀ
//! H11 = Σ_n M ⊗ x̃ x̃ᵀ
//! H21 = Σ_n B ⊗ x̃ᵀ        B[(k,i), j] = Q[k,j] ã_i + R[k,j] δ_ij
//! ```
//!
//! for (output, output), (hidden, hidden) and (output, hidden) parameters; the bias column of B has no second term. The
//! Gauss-Newton part is what is left without c and R.
//!
//! # §3 Two moments are enough
//!
//! ```text
//! t = tr H = Σ_n tr S ‖ã‖² + tr M ‖x̃‖²
//! q = ‖H‖²_F = ‖H22‖² + ‖H11‖² + 2 ‖H21‖²
//!
//! m = t/D        s² = q/D − m²
//!
//! λ_sup = m + s √(D − 1) ≥ λ_max ≥ m + s/√(D − 1)
//! λ_inf = m − s √(D − 1) ≤ λ_min ≤ m − s/√(D − 1)
//! λ_max − λ_min ≤ s √(2 D)
//! ```
//!
//! (H. Wolkowicz, G. P. H. Styan, "Bounds for eigenvalues using traces", Linear Algebra and its Applications 29
//! (1980), 471–506.) λ_sup is a convex function of H. So the mean of the mini-batches' λ_sup is at least that of the
//! whole batch, which is at least its λ_max.
//!
//! q has two exact evaluations; the cost decides ([`Evaluation`](crate::Evaluation)):
//!
//! * ASSEMBLED, O(N·D²): the blocks A = H22, C = H11 and E = H21 are formed as matrix products over samples, half of
//!   each where they are symmetric.
//! * GRAM, O(N²·(d + h² + Kh)): with G = x̃·x̃ and α = ã·ã over pairs of samples and F = Q∘aᵀ,
//!
//! ```text
//! q = Σ_nm ⟨S_n, S_m⟩ α_nm² + ⟨M_n, M_m⟩ G_nm² + 2 ⟨B_n, B_m⟩ G_nm
//! ⟨B_n, B_m⟩ = ⟨Q_n, Q_m⟩ α_nm + ⟨F_n, R_m⟩ + ⟨R_n, F_m⟩ + ⟨R_n, R_m⟩
//! ```
//!
//! Two matrices of a sample can be too large to form. Where the outputs are many, S = ω(diag p − p pᵀ) is not formed:
//! ⟨S_n, S_m⟩ and S_m p_n take p alone. Where U has few rows beside many hidden units, M = Uᵀ Q + diag c is not:
//! ⟨M_n, M_m⟩ takes U_n U_mᵀ and Q_n Q_mᵀ, K × K for a pair.
//!
//! # §4 The gradient
//!
//! ```text
//! w_t = ∂λ_sup/∂t = 1/D − √(D − 1) t/(D² s)        w_q = ∂λ_sup/∂q = √(D − 1)/(2 D s)
//! ```
//!
//! The adjoints of the per-sample quantities begin with the evaluation:
//!
//! | | ASSEMBLED | GRAM |
//! |---|---|---|
//! | S̄ | 2w_q A contracted with ããᵀ | 2w_q Σ_m α² S_m |
//! | M̄ | 2w_q C contracted with x̃x̃ᵀ | 2w_q Σ_m G² M_m |
//! | B | B̄ = 4w_q E x̃; Q̄ = Σ_i B̄\[k,i,j\] ã_i; R̄ = B̄\[k,j,j\]; ā += Σ_kj B̄\[k,i,j\] Q\[k,j\] | F̄ = 4w_q Σ_m G R_m; R̄ = 4w_q Σ_m G (F_m + R_m); Q̄ = 4w_q Σ_m Gα Q_m + F̄∘aᵀ; ā += Σ_k F̄∘Q |
//! | ā | 4w_q (A contracted with S) ã | 4w_q Σ_m (⟨S_n, S_m⟩α + G⟨Q_n, Q_m⟩) a_m |
//! | x̄ | 4w_q (C contracted with M) x̃ + 4w_q E contracted with B | 4w_q Σ_m (⟨M_n, M_m⟩G + ⟨B_n, B_m⟩) x_m |
//!
//! and with the trace:
//!
//! ```text
//! S̄ += w_t ‖ã‖² I        M̄ += w_t ‖x̃‖² I        ā += 2 w_t tr S · a        x̄ += 2 w_t tr M · x
//! ```
//!
//! One pullback is common to both:
//!
//! ```text
//! r̄ = R̄ d1        d̄1 = R̄ᵀ r
//! Ū = Q M̄        Q̄ += U M̄        c̄ = diag M̄
//! S̄ += Q̄ Uᵀ        Ū += S Q̄
//! ḡ = c̄∘d2        d̄2 = c̄∘g
//! W̄2 = Σ r ḡᵀ        r̄ += W2 ḡ
//! W̄2 += Σ Ū diag(d1)        d̄1 += Σ_k Ū∘W2
//! ō = pull(S̄, r̄)
//! W̄2 += Σ ō aᵀ        b̄2 = Σ ō        ā += W2ᵀ ō
//! z̄ = ā∘d1 + d̄1∘d2 + d̄2∘d3
//! W̄1 = Σ z̄ xᵀ        b̄1 = Σ z̄        x̄ += W1ᵀ z̄
//! ```
//!
//! x̄ lets the bound regularise the three-layer head of a deeper model, whose features are x.
//!
//! # §5 Degenerate and extreme inputs
//!
//! * s = 0, H a multiple of I: λ_sup = m; the subgradient w_q = 0, w_t = 1/D is taken. D = 1: λ_sup = t.
//! * H is linear in (S, r): both are divided by σ = max(|S|, |r|) before anything is squared, and λ and its gradient
//!   multiplied by σ after. Without this f32 underflows once the loss is near zero. What is then below the root of the
//!   smallest normal number (1e−19 in f32), of S, r and φ', φ'' and φ''', counts as 0: it has no square, and its products
//!   would be subnormal, which is slow on some processors.
//! * The softmax goes through log-sum-exp.
//!
//! # §6 Hessian-vector product
//!
//! Exact, two passes, for a direction v = (V1, v1, V2, v2):
//!
//! ```text
//! ż = V1 x + v1        ȧ = d1∘ż        ȯ = W2 ȧ + V2 a + v2        ṙ = S ȯ
//! δ̇ = (V2ᵀ r + W2ᵀ ṙ)∘d1 + g∘d2∘ż
//! H v = (Σ δ̇ xᵀ, Σ δ̇, Σ ṙ aᵀ + r ȧᵀ, Σ ṙ)
//! ```
//!
//! The second derivative of ℓ along v, and with it ∇(vᵀHv), by the same pullback:
//!
//! ```text
//! ö = 2 V2 ȧ + W2 (d2∘ż²)        vᵀHv = Σ ȯᵀ S ȯ + rᵀ ö
//! S̄ = ȯ ȯᵀ        r̄ = ö        ō = pull(S̄, r̄)
//! W̄2 = Σ 2 ṙ ȧᵀ + r (d2∘ż²)ᵀ + ō aᵀ        b̄2 = Σ ō
//! ā = 2 V2ᵀ ṙ + W2ᵀ ō        d̄1 = 2 (W2ᵀ ṙ + V2ᵀ r)∘ż        d̄2 = g∘ż²
//! z̄ = ā∘d1 + d̄1∘d2 + d̄2∘d3        W̄1 = Σ z̄ xᵀ        b̄1 = Σ z̄
//! x̄ = W1ᵀ z̄ + V1ᵀ (2 (W2ᵀ ṙ + V2ᵀ r)∘d1 + 2 g∘d2∘ż)
//! ```
//!
//! With v the unit eigenvector of a simple eigenvalue λ this is ∇λ (Hellmann and Feynman): v itself need not be
//! differentiated.
//!
//! # §7 Activations: the value and three derivatives
//!
//! | φ | φ' | φ'' | φ''' |
//! |---|---|---|---|
//! | tanh: a | u = 1 − a² | −2a u | −2u(1 − 3a²) |
//! | sigmoid: a | u = a(1 − a) | u(1 − 2a) | u(1 − 6u) |
//! | softplus, σ its derivative | σ | σ(1 − σ) | σ(1 − σ)(1 − 2σ) |
//! | gelu: zΦ, ϕ the normal density | Φ + zϕ | (2 − z²)ϕ | (z³ − 4z)ϕ |
//! | silu: zσ, with σ1, σ2, σ3 the derivatives of σ | σ + zσ1 | 2σ1 + zσ2 | 3σ2 + zσ3 |
//! | erf | e = (2/√π) exp(−z²) | −2z e | (4z² − 2) e |
//! | mish, tanh-approximated gelu, sin, identity | by the chain rule | | |
//! | relu, leaky relu | piecewise constant | 0 | 0, almost everywhere |
