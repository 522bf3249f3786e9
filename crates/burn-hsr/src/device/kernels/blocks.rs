//! The blocks of the Hessian by either evaluation: matrix products and, between them, the launches of [`contraction`].

use super::Sizes;
use super::batch::Batch;
use super::buffer::{Buffer, Matrix, product};
use super::contraction::{self, Blocks};

/// The contractions of the blocks with the samples, as in hsr-core: without w_q, which they precede.
pub(super) struct Contraction {
    /// The inner products of which q is the sum, and how many numbers each has; see [`parts_of_q`](super::moments::parts_of_q).
    pub(super) norms: [(Buffer, Buffer, usize); 4],
    /// S̃ \[N, K, K\] and M̃ \[N, h, h\].
    pub(super) s: Buffer,
    pub(super) m: Buffer,
    /// What Q̃ and R̃ come from; see [`adjoints`](super::pullback::adjoints).
    pub(super) q: Buffer,
    pub(super) r: [Buffer; 2],
    /// For ā \[N, h\] and x̄ \[N, d\], from pairs of samples and from assembled blocks.
    pub(super) hidden: [Option<Buffer>; 2],
    pub(super) inputs: [Option<Buffer>; 2],
}

impl Batch {
    pub(super) fn contract(
        &self,
        gram: Blocks,
        assembled: Blocks,
        with_inputs: bool,
    ) -> Option<Contraction> {
        let Sizes {
            samples,
            inputs,
            hidden,
            outputs,
            inputs_extended,
            hidden_extended,
        } = self.sizes;
        let (place, nothing) = (&self.place, &self.nothing);
        let x = self.rows_of(&self.x, inputs);
        let a = self.rows_of(&self.a, hidden);
        let s = self.rows_of(&self.s, outputs * outputs);
        let m = self.rows_of(&self.m, hidden * hidden);
        let [q, r] = [&self.q, &self.r].map(|b| self.rows_of(b, outputs * hidden));
        let pairs = Pairs::of(self, gram, &x, &a)?;
        let outer = Outer::of(self, assembled);

        let [of_s, ss];
        let (s_norm, s_contracted) = if gram.output {
            let contracted = product(pairs.alpha_squared(), s.clone())?;
            [of_s, ss] = [None, Some(product(s.clone(), s.transpose())?)];
            let numbers = samples * outputs * outputs;
            ((self.s.clone(), contracted.clone(), numbers), contracted)
        } else {
            let columns = hidden_extended * hidden_extended;
            let aa = self.rows_of(&outer.aa, columns);
            let block = product(s.clone().transpose(), aa.clone())?;
            let matrix = block.matrix([outputs * outputs, columns]);
            [of_s, ss] = [Some(product(s, matrix.clone())?), None];
            let contracted = product(aa, matrix.transpose())?;
            let numbers = outputs * outputs * columns;
            ((block.clone(), block, numbers), contracted)
        };

        let [of_m, mm];
        let (m_norm, m_contracted) = if gram.hidden {
            let contracted = product(pairs.inner_squared(), m.clone())?;
            let products = match with_inputs {
                true => Some(product(m.clone(), m.transpose())?),
                false => None,
            };
            [of_m, mm] = [None, products];
            let numbers = samples * hidden * hidden;
            ((self.m.clone(), contracted.clone(), numbers), contracted)
        } else {
            let columns = inputs_extended * inputs_extended;
            let xx = self.rows_of(&outer.xx, columns);
            let block = product(m.clone().transpose(), xx.clone())?;
            let matrix = block.matrix([hidden * hidden, columns]);
            let products = match with_inputs {
                true => Some(product(m, matrix.clone())?),
                false => None,
            };
            [of_m, mm] = [products, None];
            let contracted = product(xx, matrix.transpose())?;
            let numbers = hidden * hidden * columns;
            ((block.clone(), block, numbers), contracted)
        };

        let cross = if gram.cross {
            let coupled = self.rows_of(&self.coupled, outputs * hidden);
            let first = product(pairs.inner(), r.clone())?;
            let second = product(pairs.inner(), coupled.clone())?;
            let contracted = product(pairs.both(), q.clone())?;
            let rf = match with_inputs {
                true => Some(product(r, coupled.transpose())?),
                false => None,
            };
            let numbers = samples * outputs * hidden;
            Cross {
                norms: [
                    (self.q.clone(), contracted.clone(), numbers),
                    (self.coupled.clone(), first.clone(), numbers),
                ],
                q: contracted,
                r: [first, second],
                qq: Some(product(q.clone(), q.transpose())?),
                rf,
                of_q: None,
                of_r: None,
            }
        } else {
            self.assembled_cross(q, r, &outer, with_inputs)?
        };

        let [one_x, one_a] = self.sizes.ones();
        let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(nothing).arg();
        let of_pairs = if gram.output || gram.cross {
            let weights = place.room(samples * samples);
            let (count, dim) = place.each(samples * samples);
            contraction::hidden_weights::launch(
                &place.client,
                count,
                dim,
                or_nothing(&ss),
                or_nothing(&cross.qq),
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                weights.arg(),
                samples * samples,
                one_x,
                one_a,
                gram,
            );
            Some(product(weights.matrix([samples; 2]), a)?)
        } else {
            None
        };
        let of_blocks = if assembled.output || assembled.cross {
            let to = place.room(samples * hidden);
            let (count, dim) = place.each(samples * hidden);
            contraction::assembled_hidden::launch(
                &place.client,
                count,
                dim,
                or_nothing(&of_s),
                or_nothing(&cross.of_q),
                self.a.arg(),
                self.x.arg(),
                to.arg(),
                samples * hidden,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
            Some(to)
        } else {
            None
        };
        let inputs_of_pairs = if with_inputs && (gram.hidden || gram.cross) {
            let weights = place.room(samples * samples);
            let (count, dim) = place.each(samples * samples);
            contraction::input_weights::launch(
                &place.client,
                count,
                dim,
                or_nothing(&mm),
                or_nothing(&cross.qq),
                or_nothing(&cross.rf),
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                weights.arg(),
                samples,
                one_x,
                one_a,
                gram,
            );
            Some(product(weights.matrix([samples; 2]), x)?)
        } else {
            None
        };
        let inputs_of_blocks = if with_inputs && (assembled.hidden || assembled.cross) {
            let to = place.room(samples * inputs);
            let (count, dim) = place.each(samples * inputs);
            contraction::assembled_inputs::launch(
                &place.client,
                count,
                dim,
                or_nothing(&of_m),
                or_nothing(&cross.of_q),
                or_nothing(&cross.of_r),
                self.a.arg(),
                self.x.arg(),
                to.arg(),
                samples * inputs,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
            Some(to)
        } else {
            None
        };
        let [first, second] = cross.norms;
        Some(Contraction {
            norms: [s_norm, m_norm, first, second],
            s: s_contracted,
            m: m_contracted,
            q: cross.q,
            r: cross.r,
            hidden: [of_pairs, of_blocks],
            inputs: [inputs_of_pairs, inputs_of_blocks],
        })
    }

    /// E = Q (ã ⊗ x̃)ᵀ, and R on its columns with i = j: rows (k, j), columns (i, e).
    fn assembled_cross(
        &self,
        q: Matrix,
        r: Matrix,
        outer: &Outer,
        with_inputs: bool,
    ) -> Option<Cross> {
        let Sizes {
            hidden,
            outputs,
            inputs_extended,
            hidden_extended,
            ..
        } = self.sizes;
        let columns = hidden_extended * inputs_extended;
        let x = self.rows_of(&outer.x_extended, inputs_extended);
        let ax = self.rows_of(&outer.ax, columns);
        let block = product(q.clone().transpose(), ax.clone())?;
        let of_r = product(r.clone().transpose(), x.clone())?;
        let numbers = outputs * hidden * inputs_extended;
        let on_diagonal = self.place.room(numbers);
        let (count, dim) = self.place.each(numbers);
        contraction::add_coupling::launch(
            &self.place.client,
            count,
            dim,
            of_r.arg(),
            block.arg(),
            on_diagonal.arg(),
            numbers,
            hidden,
            hidden_extended,
            inputs_extended,
        );
        let matrix = block.matrix([outputs * hidden, columns]);
        let on_diagonal = on_diagonal.matrix([outputs * hidden, inputs_extended]);
        let first = product(x, on_diagonal.clone().transpose())?;
        let of_r = match with_inputs {
            true => Some(product(r, on_diagonal)?),
            false => None,
        };
        Some(Cross {
            q: product(ax, matrix.clone().transpose())?,
            r: [first.clone(), first],
            qq: None,
            rf: None,
            of_q: Some(product(q, matrix)?),
            of_r,
            norms: [
                (block.clone(), block, outputs * hidden * columns),
                (self.nothing.clone(), self.nothing.clone(), 0),
            ],
        })
    }
}

/// What the cross block leaves, by either evaluation.
struct Cross {
    norms: [(Buffer, Buffer, usize); 2],
    q: Buffer,
    r: [Buffer; 2],
    /// With pairs: ⟨Q_n,Q_m⟩ and ⟨R_n, 2F_m + R_m⟩ \[N, N\].
    qq: Option<Buffer>,
    rf: Option<Buffer>,
    /// Assembled: Q E \[N, h̃·d̃\] and R times E's columns with i = j \[N, d̃\].
    of_q: Option<Buffer>,
    of_r: Option<Buffer>,
}

/// The outer products of every sample, each only where a block is assembled, and x̃ \[N, d̃\].
struct Outer {
    aa: Buffer,
    xx: Buffer,
    ax: Buffer,
    x_extended: Buffer,
}

impl Outer {
    fn of(batch: &Batch, assembled: Blocks) -> Self {
        let Sizes {
            samples,
            inputs,
            hidden,
            inputs_extended,
            hidden_extended,
            ..
        } = batch.sizes;
        let place = &batch.place;
        let mut most = 0;
        let mut room = |wanted: bool, columns: usize| match wanted {
            true => {
                most = most.max(samples * columns);
                place.room(samples * columns)
            }
            false => batch.nothing.clone(),
        };
        let outer = Self {
            aa: room(assembled.output, hidden_extended * hidden_extended),
            xx: room(assembled.hidden, inputs_extended * inputs_extended),
            ax: room(assembled.cross, hidden_extended * inputs_extended),
            x_extended: room(assembled.cross, inputs_extended),
        };
        if most > 0 {
            let (count, dim) = place.each(most);
            contraction::outer_products::launch(
                &place.client,
                count,
                dim,
                batch.a.arg(),
                batch.x.arg(),
                outer.aa.arg(),
                outer.xx.arg(),
                outer.ax.arg(),
                outer.x_extended.arg(),
                samples,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
        }
        outer
    }
}

/// The pairs of samples \[N, N\], each product only where a block needs it.
struct Pairs {
    samples: usize,
    /// x·x and a·a.
    xx: Option<Buffer>,
    aa: Option<Buffer>,
    inner: Buffer,
    both: Buffer,
    inner_squared: Buffer,
    alpha_squared: Buffer,
}

impl Pairs {
    fn of(batch: &Batch, gram: Blocks, x: &Matrix, a: &Matrix) -> Option<Self> {
        let samples = batch.sizes.samples;
        let squares = |wanted: bool, rows: &Matrix| match wanted {
            true => product(rows.clone(), rows.clone().transpose()).map(Some),
            false => Some(None),
        };
        let xx = squares(gram.hidden || gram.cross, x)?;
        let aa = squares(gram.output || gram.cross, a)?;
        let (place, nothing) = (&batch.place, &batch.nothing);
        let room = |wanted: bool| match wanted {
            true => place.room(samples * samples),
            false => nothing.clone(),
        };
        let pairs = Self {
            samples,
            inner: room(gram.cross),
            both: room(gram.cross),
            inner_squared: room(gram.hidden),
            alpha_squared: room(gram.output),
            xx,
            aa,
        };
        if gram.output || gram.hidden || gram.cross {
            let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(nothing).arg();
            let [one_x, one_a] = batch.sizes.ones();
            let (count, dim) = place.each(samples * samples);
            contraction::pairs_of::launch(
                &place.client,
                count,
                dim,
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                pairs.inner.arg(),
                pairs.both.arg(),
                pairs.inner_squared.arg(),
                pairs.alpha_squared.arg(),
                samples * samples,
                one_x,
                one_a,
                gram,
            );
        }
        Some(pairs)
    }

    fn inner(&self) -> Matrix {
        self.inner.matrix([self.samples; 2])
    }

    fn both(&self) -> Matrix {
        self.both.matrix([self.samples; 2])
    }

    fn inner_squared(&self) -> Matrix {
        self.inner_squared.matrix([self.samples; 2])
    }

    fn alpha_squared(&self) -> Matrix {
        self.alpha_squared.matrix([self.samples; 2])
    }
}
