// What Hugging Face's Hub answers: commits and lists of files. All of it is untrusted; `what` names
// in errors what was asked for.
#pragma once

#include <string>
#include <vector>

#include "api/hub/names/select.h"
#include "base/core/error.h"

namespace ruvllm::hub {

// Of /api/models/REPO/revision/REV: the commit, 40 hex digits.
Result<std::string> read_commit(const std::string& body, const std::string& what,
                                const std::string& endpoint);

// Of a page of /api/models/REPO/tree/COMMIT: appends its files, whose paths stay inside the folder
// that they are joined to.
Status read_file_list(const std::string& body, const std::string& what,
                      std::vector<RepositoryFile>& files);

// The address in a header 'Link: <https://...>; rel="next"'; "": there is none. It must be of the
// endpoint's own server.
Result<std::string> read_next_page(const std::string& link, const std::string& what,
                                   const std::string& endpoint);

}  // namespace ruvllm::hub
