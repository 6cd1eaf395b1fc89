/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __QEMU_PLUGIN_H
#define __QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/*
 * What hotspots.c needs of QEMU's interface for plugins, version 4, whose header
 * distributions do not package.
 */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*plugin_vcpu_cb)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id,
						      struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  plugin_vcpu_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    plugin_vcpu_cb cb, int flags,
					    void *data);
void qemu_plugin_register_atexit_cb(uint64_t id,
				    void (*cb)(uint64_t id, void *data),
				    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);

#endif
