//! The blocks of the Hessian by either evaluation: matrix products and, between them, the launches of [`contraction`].

use cubecl::prelude::*;

use super::batch::Batch;
use super::buffer::{Buffer, Matrix, product};
use super::contraction;
use super::forward;

/// The contractions of the blocks with the samples, as in hsr-core: without w_q, which they precede.
pub(super) struct Contraction {
    /// What the norms of the output and the cross block are taken with: the contraction where a block is of pairs, else
    /// the block itself.
    pub(super) norms: [Buffer; 2],
    /// S̃ \[N, K, K\].
    pub(super) s: Buffer,
    /// What Q̃ and R̃ come from; see [`adjoints`](super::pullback::adjoints).
    pub(super) q: Buffer,
    pub(super) r: [Buffer; 2],
    /// What pairs of samples give ā \[N, h\] and x̄ \[N, d\].
    pub(super) hidden: Option<Buffer>,
    pub(super) inputs: Option<Buffer>,
}

/// What the output block leaves, or some rows of the hidden block.
struct Symmetric {
    norm: Buffer,
    contracted: Buffer,
    /// The products of all pairs of samples \[N, N\], or those of the samples with the block.
    products: Option<Buffer>,
}

/// What the cross block leaves.
struct Cross {
    norm: Buffer,
    q: Buffer,
    r: [Buffer; 2],
    /// With pairs: ⟨Q_n,Q_m⟩ and ⟨R_n, 2F_m + R_m⟩ \[N, N\]. Assembled: Q E \[N, h̃·d̃\] and R times E's columns with
    /// i = j \[N, d̃\].
    of_q: Option<Buffer>,
    of_r: Option<Buffer>,
}

impl<F: Float> Batch<F> {
    pub(super) fn contract(&self, with_inputs: bool) -> Option<Contraction> {
        let (at, gram, assembled) = (&self.at, self.gram, self.assembled);
        let [samples, inputs, hidden] = [at.samples, at.inputs, at.hidden];
        let (client, place) = (&self.place.client, &self.place);
        let x = || self.x.matrix(0, [samples, inputs]);
        let a = || self.part(at.a, hidden);
        let squares = |wanted: bool, rows: &dyn Fn() -> _| match wanted {
            true => product(rows(), Matrix::transpose(rows())).map(Some),
            false => Some(None),
        };
        let xx = squares(gram.hidden || gram.cross, &x)?;
        let aa = squares(gram.output || gram.cross, &a)?;
        if gram.output || gram.hidden || gram.cross {
            let (count, dim) = place.each(samples * samples);
            let [xx, aa] = [&xx, &aa].map(|products| self.or_nothing(products));
            contraction::pairs_of::launch::<F>(
                client,
                count,
                dim,
                xx,
                aa,
                self.state.arg(),
                at.arg(),
                gram,
            );
        }
        let rows = [
            (assembled.output, at.hidden_extended * at.hidden_extended),
            (assembled.hidden, at.inputs_extended * at.inputs_extended),
            (assembled.cross, at.hidden_extended * at.inputs_extended),
        ];
        if let Some(most) = rows.iter().filter(|row| row.0).map(|row| row.1).max() {
            let (count, dim) = place.each(samples * most);
            let x = self.x.arg();
            contraction::outer_products::launch::<F>(
                client,
                count,
                dim,
                x,
                self.state.arg(),
                at.arg(),
                assembled,
            );
        }

        let of_s = at.outputs * at.outputs;
        let output = match gram.output {
            true => self.pairs(at.s, of_s, at.alpha_squared, true)?,
            false => self.assembled(at.s, of_s, at.aa, at.hidden_extended, true)?,
        };
        self.hidden(with_inputs)?;
        let cross = match gram.cross {
            true => self.cross_of_pairs(with_inputs)?,
            false => self.assembled_cross(with_inputs)?,
        };

        let [ss, qq, rf] =
            [&output.products, &cross.of_q, &cross.of_r].map(|it| || self.or_nothing(it));
        let [xx, aa] = [&xx, &aa].map(|it| || self.or_nothing(it));
        let (state, at_arg) = (|| self.state.arg(), || at.arg());
        let pairs = || place.each(samples * samples);
        let mut to_hidden = None;
        if gram.output || gram.cross {
            let (count, dim) = pairs();
            contraction::hidden_weights::launch::<F>(
                client,
                count,
                dim,
                ss(),
                qq(),
                xx(),
                aa(),
                state(),
                at_arg(),
                gram,
            );
            to_hidden = Some(product(self.part(at.hidden_weights, samples), a())?);
        }
        if assembled.output || assembled.cross {
            let (count, dim) = place.each(samples * hidden);
            let x = self.x.arg();
            contraction::assembled_hidden::launch::<F>(
                client,
                count,
                dim,
                ss(),
                qq(),
                x,
                state(),
                at_arg(),
                assembled,
            );
        }
        let mut to_inputs = None;
        if with_inputs && (gram.hidden || gram.cross) {
            let (count, dim) = pairs();
            contraction::input_weights::launch::<F>(
                client,
                count,
                dim,
                qq(),
                rf(),
                xx(),
                aa(),
                state(),
                at_arg(),
                gram,
            );
            to_inputs = Some(product(self.part(at.input_weights, samples), x())?);
        }
        if with_inputs && (assembled.hidden || assembled.cross) {
            let (count, dim) = place.each(samples * inputs);
            let x = self.x.arg();
            contraction::assembled_inputs::launch::<F>(
                client,
                count,
                dim,
                qq(),
                rf(),
                x,
                state(),
                at_arg(),
                assembled,
            );
        }
        Some(Contraction {
            norms: [output.norm, cross.norm],
            s: output.contracted,
            q: cross.q,
            r: cross.r,
            hidden: to_hidden,
            inputs: to_inputs,
        })
    }

    /// The hidden block, one strip of M after the other. Its results are in the state.
    fn hidden(&self, with_inputs: bool) -> Option<()> {
        let (at, place, client) = (&self.at, &self.place, &self.place.client);
        let [samples, hidden, outputs] = [at.samples, at.hidden, at.outputs];
        for (strip, first) in (0..hidden).step_by(at.strip).enumerate() {
            let rows = at.strip.min(hidden - first);
            let (count, dim) = place.each(samples * rows * hidden);
            let (state, at_arg) = (|| self.state.arg(), || at.arg());
            forward::hidden_hessian::launch::<F>(
                client,
                count,
                dim,
                state(),
                at_arg(),
                first,
                rows,
            );
            let of_m = rows * hidden;
            let block = match self.gram.hidden {
                true => self.pairs(at.m, of_m, at.inner_squared, with_inputs)?,
                false => self.assembled(at.m, of_m, at.xx, at.inputs_extended, with_inputs)?,
            };
            // M̃ is symmetric: its rows are its columns.
            let columns = block.contracted.matrix(0, [samples, rows, hidden]);
            let u = self.state.matrix(at.u, [samples, outputs, hidden]);
            let um = product(u, columns.transpose())?;
            let (count, dim) = place.cubes(at.cubes);
            contraction::of_strip::launch::<F>(
                client,
                count,
                dim,
                block.contracted.arg(),
                block.norm.arg(),
                um.arg(),
                self.or_nothing(&block.products),
                state(),
                at_arg(),
                strip,
                rows,
                self.gram.hidden,
                with_inputs,
            );
        }
        Some(())
    }

    /// A symmetric block of S or of rows of M, so many numbers a sample, with the squared inner products of its other factor.
    fn pairs(
        &self,
        of: usize,
        numbers: usize,
        squares: usize,
        products: bool,
    ) -> Option<Symmetric> {
        let rows = || self.part(of, numbers);
        let contracted = product(self.part(squares, self.at.samples), rows())?;
        Some(Symmetric {
            norm: contracted.clone(),
            contracted,
            products: match products {
                true => Some(product(rows(), rows().transpose())?),
                false => None,
            },
        })
    }

    /// A symmetric block of S or of rows of M, so many numbers a sample, assembled with the outer products of its other factor.
    fn assembled(
        &self,
        of: usize,
        numbers: usize,
        outer: usize,
        other: usize,
        products: bool,
    ) -> Option<Symmetric> {
        let rows = || self.part(of, numbers);
        let outer = || self.part(outer, other * other);
        let block = product(rows().transpose(), outer())?;
        let matrix = || block.matrix(0, [numbers, other * other]);
        Some(Symmetric {
            contracted: product(outer(), matrix().transpose())?,
            products: match products {
                true => Some(product(rows(), matrix())?),
                false => None,
            },
            norm: block,
        })
    }

    fn cross_of_pairs(&self, with_inputs: bool) -> Option<Cross> {
        let at = &self.at;
        let rows = |start| self.part(start, at.outputs * at.hidden);
        let pairs = |start| self.part(start, at.samples);
        let first = product(pairs(at.inner), rows(at.r))?;
        let second = product(pairs(at.inner), rows(at.coupled))?;
        let contracted = product(pairs(at.both), rows(at.q))?;
        Some(Cross {
            norm: contracted.clone(),
            q: contracted,
            r: [first, second],
            of_q: Some(product(rows(at.q), rows(at.q).transpose())?),
            of_r: match with_inputs {
                true => Some(product(rows(at.r), rows(at.coupled).transpose())?),
                false => None,
            },
        })
    }

    /// E = Q (ã ⊗ x̃)ᵀ, and R on its columns with i = j: rows (k, j), columns (i, e).
    fn assembled_cross(&self, with_inputs: bool) -> Option<Cross> {
        let at = &self.at;
        let width = at.outputs * at.hidden;
        let columns = at.hidden_extended * at.inputs_extended;
        let [q, r] = [at.q, at.r].map(|start| move || self.part(start, width));
        let x = || self.part(at.x_extended, at.inputs_extended);
        let ax = || self.part(at.ax, columns);
        let block = product(q().transpose(), ax())?;
        let of_r = product(r().transpose(), x())?;
        let (count, dim) = self.place.each(width * at.inputs_extended);
        contraction::add_coupling::launch::<F>(
            &self.place.client,
            count,
            dim,
            of_r.arg(),
            block.arg(),
            self.state.arg(),
            at.arg(),
        );
        let matrix = || block.matrix(0, [width, columns]);
        let on_diagonal = || {
            self.state
                .matrix(at.on_diagonal, [width, at.inputs_extended])
        };
        let first = product(x(), on_diagonal().transpose())?;
        Some(Cross {
            q: product(ax(), matrix().transpose())?,
            r: [first.clone(), first],
            of_q: Some(product(q(), matrix())?),
            of_r: match with_inputs {
                true => Some(product(r(), on_diagonal())?),
                false => None,
            },
            norm: block,
        })
    }
}
