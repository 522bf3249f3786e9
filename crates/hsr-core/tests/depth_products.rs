//! Loss, gradient, Hessian-vector products and pᵀHv at any depth, against the golden cases and finite differences.

mod common;

use common::{Case, Numbers, golden, gradient_by_differences, relative_error, varied_cases};
use hsr_core::depth::{DeepWorkspace, FeedForward, ProbeOut};
use hsr_core::{LanczosOptions, Real, extremes};

#[test]
fn loss_gradient_and_hessian_vector_product_are_those_of_the_golden_cases() {
    fn check<T: Real>(case: &Case<T>, golden: &common::Golden, tolerance: f64) {
        let name = &golden.name;
        let (network, batch) = (case.network(), case.batch());
        let mut workspace = DeepWorkspace::new();
        let mut gradient = vec![T::zero(); case.parameters()];
        let loss = workspace
            .loss_gradient(&network, &batch, &mut gradient, None)
            .unwrap();
        let error = relative_error(&[loss], &[golden.loss], 0.0);
        assert!(error < tolerance, "{name}: loss {error:e}");
        let error = relative_error(&gradient, &golden.loss_grad, 0.0);
        assert!(error < tolerance, "{name}: gradient {error:e}");
        let v: Vec<T> = golden.v.iter().map(|&v| T::of(v)).collect();
        let mut product = vec![T::zero(); v.len()];
        workspace
            .hessian_vector_product(&network, &batch, &v, &mut product)
            .unwrap();
        let error = relative_error(&product, &golden.hessian_vector_product, 0.0);
        assert!(error < tolerance, "{name}: Hv {error:e}");
    }
    for golden in golden() {
        let case = golden.case();
        check(&case, &golden, 1e-10);
        check(&case.narrowed(), &golden, 1e-4);
    }
}

#[test]
fn the_dense_hessian_has_the_eigenvalues_of_the_golden_cases() {
    for golden in golden() {
        let case = golden.case();
        let (network, batch) = (case.network(), case.batch());
        let size = case.parameters();
        let mut workspace = DeepWorkspace::new();
        let mut hessian = vec![0.0; size * size];
        workspace.hessian(&network, &batch, &mut hessian).unwrap();
        let largest = hessian.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        for i in 0..size {
            for j in 0..i {
                let difference = (hessian[i * size + j] - hessian[j * size + i]).abs();
                assert!(
                    difference < 1e-13 * largest,
                    "{}: {difference:e}",
                    golden.name
                );
            }
        }
        let squares: f64 = hessian.iter().map(|h| h * h).sum();
        let error = relative_error(&[squares], &[golden.frobenius_squared], 0.0);
        assert!(error < 1e-10, "{}: ‖H‖² {error:e}", golden.name);

        let mut operator = workspace.linearize(&network, &batch).unwrap();
        let options = LanczosOptions::default();
        let ends = extremes(size, |v, out| operator.apply_f64(v, out), &options).unwrap();
        let expected = [golden.eigenvalues[size - 1], golden.eigenvalues[0]];
        let error = relative_error(&[ends.largest, ends.smallest], &expected, 0.0);
        assert!(error < 1e-9, "{}: ends {error:e}", golden.name);
    }
}

#[test]
fn loss_gradients_and_products_agree_with_differences() {
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let shapes = &case.shapes;
        let depth = shapes.len();
        let mut workspace = DeepWorkspace::new();
        let (mut gradient, mut inputs) = (vec![0.0; case.parameters()], vec![0.0; case.x.len()]);
        workspace
            .loss_gradient(&network, &batch, &mut gradient, Some(&mut inputs))
            .unwrap();
        let by_theta = gradient_by_differences(&case.theta, 1e-3, |theta| {
            let network = FeedForward::from_flat(shapes, theta).unwrap();
            workspace.loss(&network, &batch).unwrap()
        });
        let error = relative_error(&gradient, &by_theta, 0.0);
        assert!(error < 1e-9, "L = {depth}: ∂L/∂θ {error:e}");
        let by_x = gradient_by_differences(&case.x, 1e-3, |x| {
            let moved = Case {
                x: x.to_vec(),
                ..case.clone()
            };
            workspace.loss(&network, &moved.batch()).unwrap()
        });
        let error = relative_error(&inputs, &by_x, 0.0);
        assert!(error < 1e-9, "L = {depth}: ∂L/∂x {error:e}");

        let mut numbers = Numbers::new(5);
        let (p, v) = (
            numbers.vector(case.parameters()),
            numbers.vector(case.parameters()),
        );
        let mut product = vec![0.0; v.len()];
        workspace
            .hessian_vector_product(&network, &batch, &v, &mut product)
            .unwrap();
        // Hv is the gradient of vᵀ∇L.
        let mut scratch = vec![0.0; v.len()];
        let by_gradient = gradient_by_differences(&case.theta, 1e-3, |theta| {
            let network = FeedForward::from_flat(shapes, theta).unwrap();
            workspace
                .loss_gradient(&network, &batch, &mut scratch, None)
                .unwrap();
            scratch.iter().zip(&v).map(|(g, v)| g * v).sum()
        });
        let error = relative_error(&product, &by_gradient, 0.0);
        assert!(error < 1e-9, "L = {depth}: Hv {error:e}");

        let (mut of_theta, mut of_x) = (vec![0.0; v.len()], vec![0.0; case.x.len()]);
        let mut hv = vec![0.0; v.len()];
        let value = workspace
            .bilinear_gradient(
                &network,
                &batch,
                &p,
                &v,
                Some(&mut hv),
                &mut of_theta,
                Some(&mut of_x),
            )
            .unwrap();
        assert_eq!(hv, product);
        let along: f64 = p.iter().zip(&hv).map(|(p, h)| p * h).sum();
        assert!(
            (value - along).abs() < 1e-12 * along.abs().max(1e-3),
            "{value} {along}"
        );
        let mut bilinear = |network: &FeedForward<f64>, batch: &hsr_core::Batch<f64>| -> f64 {
            workspace
                .hessian_vector_product(network, batch, &v, &mut product)
                .unwrap();
            p.iter().zip(&product).map(|(p, h)| p * h).sum()
        };
        let by_theta = gradient_by_differences(&case.theta, 1e-3, |theta| {
            let network = FeedForward::from_flat(shapes, theta).unwrap();
            bilinear(&network, &batch)
        });
        let error = relative_error(&of_theta, &by_theta, 0.0);
        assert!(error < 1e-8, "L = {depth}: ∂(pᵀHv)/∂θ {error:e}");
        let by_x = gradient_by_differences(&case.x, 1e-3, |x| {
            let moved = Case {
                x: x.to_vec(),
                ..case.clone()
            };
            bilinear(&network, &moved.batch())
        });
        let error = relative_error(&of_x, &by_x, 0.0);
        assert!(error < 1e-8, "L = {depth}: ∂(pᵀHv)/∂x {error:e}");
    }
}

#[test]
fn the_peers_gradients_agree_with_differences() {
    for case in varied_cases() {
        let (network, batch, shapes) = (case.network(), case.batch(), &case.shapes);
        let depth = shapes.len();
        let mut workspace = DeepWorkspace::new();
        let (mut gradient, mut inputs) = (vec![0.0; case.parameters()], vec![0.0; case.x.len()]);
        let (mut scratch, mut nothing) = (gradient.clone(), gradient.clone());
        let options = LanczosOptions::default();

        workspace
            .gradient_norm_gradient(&network, &batch, &mut gradient, Some(&mut inputs))
            .unwrap();
        let mut norm = |network: &FeedForward<f64>, batch: &hsr_core::Batch<f64>| -> f64 {
            workspace
                .loss_gradient(network, batch, &mut scratch, None)
                .unwrap();
            scratch.iter().map(|g| g * g).sum::<f64>().sqrt()
        };
        let by_theta = gradient_by_differences(&case.theta, 1e-3, |theta| {
            norm(&FeedForward::from_flat(shapes, theta).unwrap(), &batch)
        });
        let error = relative_error(&gradient, &by_theta, 0.0);
        assert!(error < 1e-7, "L = {depth}: ∂‖∇L‖/∂θ {error:e}");
        let by_x = gradient_by_differences(&case.x, 1e-3, |x| {
            let moved = Case {
                x: x.to_vec(),
                ..case.clone()
            };
            norm(&network, &moved.batch())
        });
        let error = relative_error(&inputs, &by_x, 0.0);
        assert!(error < 1e-7, "L = {depth}: ∂‖∇L‖/∂x {error:e}");

        let top = workspace
            .lambda_max_gradient(&network, &batch, None, &options, &mut gradient, None)
            .unwrap();
        assert!(top.converged);
        let by_theta = gradient_by_differences(&case.theta, 1e-4, |theta| {
            let network = FeedForward::from_flat(shapes, theta).unwrap();
            workspace
                .lambda_max_gradient(
                    &network,
                    &batch,
                    Some(&top.vector),
                    &options,
                    &mut nothing,
                    None,
                )
                .unwrap()
                .value
        });
        let error = relative_error(&gradient, &by_theta, 0.0);
        assert!(error < 1e-6, "L = {depth}: ∂λ_max/∂θ {error:e}");
    }
}

#[test]
fn a_probe_is_the_loss_a_product_and_a_bilinear_gradient() {
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let size = case.parameters();
        let mut numbers = Numbers::new(9);
        let v: Vec<f64> = (0..size).map(|_| numbers.next().signum()).collect();
        let mut workspace = DeepWorkspace::new();
        let zeros = || vec![0.0; size];
        let (mut of_loss, mut hv, mut gradient) = (zeros(), zeros(), zeros());
        let mut inputs = vec![0.0; case.x.len()];
        let probe = workspace
            .probe_gradient(
                &network,
                &batch,
                &v,
                |probe| [0.3, 1.0 / probe.frobenius_squared.sqrt()],
                ProbeOut {
                    loss_gradient: &mut of_loss,
                    hv: &mut hv,
                    gradient: &mut gradient,
                    input_gradient: Some(&mut inputs),
                },
            )
            .unwrap();

        let (mut expected, mut product) = (zeros(), zeros());
        let loss = workspace
            .loss_gradient(&network, &batch, &mut expected, None)
            .unwrap();
        assert!(relative_error(&[probe.loss], &[loss], 0.0) < 1e-14);
        assert!(relative_error(&of_loss, &expected, 0.0) < 1e-13);
        workspace
            .hessian_vector_product(&network, &batch, &v, &mut product)
            .unwrap();
        assert_eq!(hv, product);
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let scale = dot(&hv, &hv).sqrt() * (size as f64).sqrt();
        assert!((probe.trace - dot(&v, &hv)).abs() < 1e-13 * scale);
        let squared = dot(&hv, &hv);
        assert!(relative_error(&[probe.frobenius_squared], &[squared], 0.0) < 1e-13);
        let factor = 2.0 / squared.sqrt();
        let y: Vec<f64> = v
            .iter()
            .zip(&hv)
            .map(|(v, u)| 0.3 * v + factor * u)
            .collect();
        let mut of_x = inputs.clone();
        workspace
            .bilinear_gradient(
                &network,
                &batch,
                &y,
                &v,
                None,
                &mut expected,
                Some(&mut of_x),
            )
            .unwrap();
        assert!(relative_error(&gradient, &expected, 0.0) < 1e-12);
        assert!(relative_error(&inputs, &of_x, 0.0) < 1e-12);
    }
}
