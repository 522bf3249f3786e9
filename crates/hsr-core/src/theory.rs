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
//!
//! # §8 Any depth
//!
//! Layers l = 1, …, L of widths n_0 = d, …, n_L = K; §§1 to 6 are L = 2 (there U is J_21, Q is Q_21, M is Γ_1). In the code
//! ([`depth`](crate::depth)) layers are counted from 0.
//!
//! ```text
//! a_0 = x        z_l = W_l a_{l−1} + b_l        a_l = φ_l(z_l) + ρ_l a_{l−1} (l < L)        o = z_L
//! ```
//!
//! ρ_l is 1 for a residual layer, else 0. x̃_l is a_{l−1} with a 1 appended where layer l has a bias, m_l its length,
//! P_l = n_l m_l. d1_l, d2_l, d3_l are φ', φ'', φ''' at z_l, D_l = diag d1_l, and G_l(n, m) = x̃_l,n · x̃_l,m.
//!
//! ## §8.1 Backward vectors and tangents, of each sample
//!
//! ```text
//! δ_L = r        u_l = W_{l+1}ᵀ δ_{l+1} + ρ_{l+1} u_{l+1}        δ_l = d1_l∘u_l        c_l = d2_l∘u_l
//! J_ll = I        A_ll = D_l        J_kl = W_k A_{k−1,l}        A_kl = D_k J_kl + ρ_k A_{k−1,l}
//! Q_Ll = S J_Ll
//! U_kl = W_{k+1}ᵀ Q_{k+1,l} + ρ_{k+1} U_{k+1,l}        Q_kl = D_k U_kl + diag(c_k) J_kl        Γ_l = Q_ll
//! ```
//!
//! J and A are ∂z_k/∂z_l and ∂a_k/∂z_l, U and Q are ∂u_k/∂z_l and ∂δ_k/∂z_l with the parameters fixed. S is applied by its
//! structure: for the softmax S J = ω(p∘J − p (pᵀJ)).
//!
//! ## §8.2 Blocks
//!
//! ```text
//! H_ll = Σ_n Γ_l ⊗ x̃_l x̃_lᵀ
//! H_kl = Σ_n B_kl ⊗ x̃_lᵀ        B_kl[(i,c), j] = Q_kl[i,j] x̃_k[c] + δ_k[i] A_{k−1,l}[c,j]        (l < k)
//! t_l = tr H_ll = Σ_n tr Γ_l ‖x̃_l‖²        q_kl = ‖H_kl‖²
//! t = Σ_l t_l        q = Σ_l q_ll + 2 Σ_{l<k} q_kl
//! ```
//!
//! GRAM, over pairs of samples:
//!
//! ```text
//! q_ll = Σ_nm ⟨Γ_n, Γ_m⟩ G_l²
//! q_kl = Σ_nm (⟨Q_n, Q_m⟩ G_k + P_nm + P_mn + (δ_n·δ_m) ⟨A_n, A_m⟩) G_l
//! P_nm = Σ_j T_nmj V_nmj        T_nm = Q_nᵀ δ_k,m        V_nm = A_mᵀ a_{k−1,n}
//! ```
//!
//! Between neighbours, k = l + 1, A is diagonal, and with F = Q∘a_lᵀ and R = δ_k d1_lᵀ the last three terms are ⟨F_n, R_m⟩ +
//! ⟨R_n, F_m⟩ + ⟨R_n, R_m⟩; Σ_m G_l R_m = (Σ_m R_m x̃_mᵀ) x̃_n where x̃_l has few values. ASSEMBLED: H_kl is formed in
//! parts, and of Γ and x̃x̃ᵀ only the upper triangles, √2 times what is off the diagonal. The plan takes for each block
//! what needs fewer multiply-adds ([`DeepEvaluation`](crate::depth::DeepEvaluation)).
//!
//! ## §8.3 The gradient
//!
//! With w_t\[l\] and w_q\[k,l\] the derivatives of the objective for the t_l and q_kl, w one of the latter:
//!
//! | | GRAM | ASSEMBLED, C = H_ll packed, E = H_kl, B̄ = 2w E x̃_l |
//! |---|---|---|
//! | Γ̄ += | 2w Σ_m G_l² Γ_m | 2w C contracted with x̃x̃ᵀ |
//! | ā_{l−1} += (block l, l) | 4w Σ_m ⟨Γ_n, Γ_m⟩ G_l a_m | 4w (C contracted with Γ) x̃ |
//! | Q̄_kl += | 2w Σ_m G_l G_k Q_m + 2w Σ_m G_l δ_m V_nmᵀ | Σ_c B̄\[i,c,j\] x̃_k\[c\] |
//! | δ̄_k += | 2w Σ_n G_l Q_n V_nm + 2w Σ_n G_l ⟨A_n, A_m⟩ δ_n | Σ_cj B̄\[i,c,j\] A\[c,j\] |
//! | Ā_{k−1,l} += | 2w Σ_n G_l a_n T_nmᵀ + 2w Σ_n G_l (δ_n·δ_m) A_n | Σ_i B̄\[i,c,j\] δ\[i\] |
//! | ā_{k−1} += | 2w Σ_m G_l A_m T_nm + 2w Σ_m ⟨Q_n, Q_m⟩ G_l a_m | Σ_ij B̄\[i,c,j\] Q\[i,j\] |
//! | ā_{l−1} += (block k, l) | 2w Σ_m ⟨B_n, B_m⟩ a_m | 2w E contracted with B |
//!
//! and from the trace Γ̄_l += w_t\[l\]‖x̃_l‖² I, ā_{l−1} += 2 w_t\[l\] tr Γ_l · a_{l−1}. Then for every seed layer l
//!
//! ```text
//! k = l…L−1:    Ū_kl += D_k Q̄_kl        d̄1_k += Σ_j Q̄∘U        c̄_k += Σ_j Q̄∘J        J̄_kl += diag(c_k) Q̄
//!               Q̄_{k+1,l} += W_{k+1} Ū_kl        W̄_{k+1} += Σ_n Q_{k+1,l} Ū_klᵀ        Ū_{k+1,l} += ρ_{k+1} Ū_kl
//! S̄ += Q̄_Ll J_Llᵀ        J̄_Ll += S Q̄_Ll
//! k = L…l+1:    J̄_kl += D_k Ā_kl        d̄1_k += Σ_j Ā∘J        Ā_{k−1,l} += ρ_k Ā_kl
//!               W̄_k += Σ_n J̄_kl A_{k−1,l}ᵀ        Ā_{k−1,l} += W_kᵀ J̄_kl
//! d̄1_l += diag Ā_ll
//! ```
//!
//! for l = 1…L−1
//!
//! ```text
//! ū_l += c̄_l∘d2_l + δ̄_l∘d1_l        d̄2_l += c̄_l∘u_l        d̄1_l += δ̄_l∘u_l
//! δ̄_{l+1} += W_{l+1} ū_l        W̄_{l+1} += Σ_n δ_{l+1} ū_lᵀ        ū_{l+1} += ρ_{l+1} ū_l
//! ```
//!
//! and with z̄_L = pull(S̄, δ̄_L) for l = L…1
//!
//! ```text
//! W̄_l += Σ_n z̄_l a_{l−1}ᵀ        b̄_l = Σ_n z̄_l        ā_{l−1} += W_lᵀ z̄_l + ρ_l ā_l
//! z̄_{l−1} = ā_{l−1}∘d1_{l−1} + d̄1_{l−1}∘d2_{l−1} + d̄2_{l−1}∘d3_{l−1}        x̄ = ā_0
//! ```
//!
//! ## §8.4 Along directions
//!
//! H v for the direction (V_l, v_l), with ȧ_0 = 0:
//!
//! ```text
//! ż_l = W_l ȧ_{l−1} + V_l a_{l−1} + v_l        ȧ_l = d1_l∘ż_l + ρ_l ȧ_{l−1}        δ̇_L = S ż_L
//! u̇_l = W_{l+1}ᵀ δ̇_{l+1} + V_{l+1}ᵀ δ_{l+1} + ρ_{l+1} u̇_{l+1}        δ̇_l = d1_l∘u̇_l + c_l∘ż_l
//! (H v)_l = Σ_n (δ̇_l a_{l−1}ᵀ + δ_l ȧ_{l−1}ᵀ, δ̇_l)
//! ```
//!
//! The gradient of pᵀHv, p = (P_l, p_l) and v fixed, has the same quantities along v, along p, and along both (v, p and vp
//! above):
//!
//! ```text
//! zᵛᵖ = W aᵛᵖ + V aᵖ + P aᵛ        aᵛᵖ = d1∘zᵛᵖ + d2∘zᵛ∘zᵖ + ρ aᵛᵖ of the layer below
//! δᵛᵖ_L = S zᵛᵖ + (∂S·zᵖ) zᵛ        softmax: (∂S·a) b = ωp∘(a'∘b' − p·(a'∘b')) with a' = a − p·a
//! uᵛᵖ = Wᵀδᵛᵖ + Vᵀδᵖ + Pᵀδᵛ + ρ uᵛᵖ of the layer above
//! δᵛᵖ = d1∘uᵛᵖ + d2∘(zᵖ∘uᵛ + zᵛ∘uᵖ + zᵛᵖ∘u) + d3∘zᵛ∘zᵖ∘u
//! W̄ = Σ_n δᵛᵖaᵀ + δᵛaᵖᵀ + δᵖaᵛᵀ + δ aᵛᵖᵀ        b̄ = Σ_n δᵛᵖ        x̄ = uᵛᵖ at layer 0
//! ```
//!
//! ## §8.5 Bounds from the blocks
//!
//! λ_sup of §3 from t, q and D. λ_sup,l of the block H_ll from t_l, q_ll and P_l. The block bound
//!
//! ```text
//! λ_blk = λ_max(Λ)        Λ_ll = λ_sup,l        Λ_kl = √q_kl        λ_max(H) ≤ λ_blk ≤ λ_sup
//! ```
//!
//! is the best that these numbers allow: for a unit vector v with parts of norm y_l, vᵀHv ≤ Σ y_l² λ_sup,l + 2 Σ y_k y_l √q_kl,
//! and some H with the same t_l and q_kl attains it. With y the top eigenvector of Λ, w_t\[l\] = y_l² ∂λ_sup,l/∂t_l,
//! w_q\[l,l\] = y_l² ∂λ_sup,l/∂q_ll and w_q\[k,l\] = y_k y_l/√q_kl. λ_diag = Σ_l λ_sup,l needs no cross block. It bounds every
//! λ_max(H_ll), and λ_max(H) where H is positive semidefinite, but not where H is indefinite.
//!
//! ## §8.6 The Gauss-Newton part
//!
//! H is linear in (S, r). Without r it is H_GN = Σ_n J_nᵀ S J_n. With S = C Cᵀ (softmax: C = √ω(diag √p − p√pᵀ)) the NK × NK
//! matrix Cᵀ Θ C, Θ_nm = Σ_l G_l(n, m) J_{Ll,n} J_{Ll,m}ᵀ, has its nonzero spectrum.
