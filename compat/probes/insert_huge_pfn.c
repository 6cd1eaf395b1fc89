// SPDX-License-Identifier: GPL-2.0-only
/* Is a frame number a number where a huge page of device memory is mapped? */
#include <linux/mm.h>

#if defined(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) || \
	defined(CONFIG_ARCH_SUPPORTS_PUD_PFNMAP)
vm_fault_t probe(struct vm_fault *vmf, unsigned long pfn);
vm_fault_t probe(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_pfn_pmd(vmf, pfn, false);
}
#endif
