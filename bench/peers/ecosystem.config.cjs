// SPDX-License-Identifier: Apache-2.0
// pm2's cluster mode, as its documents recommend for reloads: a new process is ready before an old one is told to leave.
module.exports = {
	apps: [{
		name: "consumer",
		script: "./consumer.mjs",
		exec_mode: "cluster",
		instances: Number(process.env.INSTANCES || 4),
		wait_ready: true,
		listen_timeout: 30000,
		// Without draining pm2's own 1.6 s is left as it is.
		...(process.env.DRAIN ? { kill_timeout: 30000 } : {}),
		env: { NODE_ENV: "production" },
	}],
};
